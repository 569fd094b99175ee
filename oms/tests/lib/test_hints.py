"""A hint comes after the commit, never without one, and may be lost without harm."""

import pytest
from django.db import transaction
from structlog.testing import capture_logs

from oms.lib import hints
from oms.lib.hints import Hint

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard(monkeypatch):
    """What the listener for a look was told."""
    told = []
    monkeypatch.setattr(hints, "_listeners", {Hint.LOOK: lambda *words: told.append(words)})
    return told


@pytest.fixture
def commit(django_capture_on_commit_callbacks):
    """A transaction that commits at the end of its block."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_nothing_is_heard_before_the_commit(heard, commit):
    with commit():
        hints.hint(Hint.LOOK, 1, "two")
        assert heard == []
    assert heard == [(1, "two")]


def test_what_is_rolled_back_was_never_said(heard, commit):
    with commit():
        with transaction.atomic():
            hints.hint(Hint.LOOK, 1)
            transaction.set_rollback(True)
        hints.hint(Hint.LOOK, 2)
    assert heard == [(2,)]


def test_a_hint_that_nobody_listens_to_is_no_error(heard, commit):
    with commit():
        hints.hint(Hint.SESSION, 1)
    assert heard == []


@pytest.mark.parametrize("error", [OSError("queue away"), ConnectionError("queue away")])
def test_a_listener_that_fails_undoes_nothing_and_is_logged(monkeypatch, commit, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(hints, "_listeners", {})
    hints.listen(Hint.LOOK, fail)
    with capture_logs() as logs, commit():
        hints.hint(Hint.LOOK, 1)
    assert [(line["event"], line["hint"], line["error"]) for line in logs] == [("hint_lost", Hint.LOOK, "queue away")]


def test_a_mistake_in_a_listener_is_told_loudly_and_undoes_nothing_either(monkeypatch, commit, caplog):
    monkeypatch.setattr(hints, "_listeners", {Hint.LOOK: lambda: None})
    heard_after = []
    with commit():
        hints.hint(Hint.LOOK, "one word too many")
        transaction.on_commit(lambda: heard_after.append("the next"))
    assert heard_after == ["the next"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "takes 0 positional arguments" in caplog.text
