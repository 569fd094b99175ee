"""A hint comes after the commit, never without one, and may be lost without harm."""

import pytest
from django.db import transaction
from structlog.testing import capture_logs

from oms.lib import hints

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard(monkeypatch):
    """What the listener of `bell` was told."""
    told = []
    monkeypatch.setattr(hints, "_listeners", {"bell": lambda *words: told.append(words)})
    return told


@pytest.fixture
def commit(django_capture_on_commit_callbacks):
    """A transaction that commits at the end of its block."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_nothing_is_heard_before_the_commit(heard, commit):
    with commit():
        hints.hint("bell", 1, "two")
        assert heard == []
    assert heard == [(1, "two")]


def test_what_is_rolled_back_was_never_said(heard, commit):
    with commit():
        with transaction.atomic():
            hints.hint("bell", 1)
            transaction.set_rollback(True)
        hints.hint("bell", 2)
    assert heard == [(2,)]


def test_a_hint_that_nobody_listens_to_is_no_error(heard, commit):
    with commit():
        hints.hint("nobody", 1)
    assert heard == []


@pytest.mark.parametrize("error", [OSError("queue away"), ConnectionError("queue away")])
def test_a_listener_that_fails_undoes_nothing_and_is_logged(monkeypatch, commit, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(hints, "_listeners", {})
    hints.listen("bell", fail)
    with capture_logs() as logs, commit():
        hints.hint("bell", 1)
    assert [(line["event"], line["hint"], line["error"]) for line in logs] == [("hint_lost", "bell", "queue away")]


def test_a_mistake_in_a_listener_is_not_taken_for_a_lost_hint(monkeypatch, commit):
    monkeypatch.setattr(hints, "_listeners", {"bell": lambda: None})
    with pytest.raises(TypeError), commit():
        hints.hint("bell", "one word too many")
