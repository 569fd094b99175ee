"""A connection that has just worked is trusted for a moment, and one that may be old is asked first."""

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection

from oms.lib import db


def is_trusted() -> bool:
    """Whether a request that begins now spares the check; what it then does works."""
    connection.health_check_done = False  # type: ignore[attr-defined]  # as Django does when a request begins
    db._trust_what_just_worked()  # not by the signal: the test client moves Django's own receiver behind ours
    trusted: bool = connection.health_check_done  # type: ignore[attr-defined]
    db._note_what_just_worked()
    return trusted


def test_a_busy_process_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    db._note_what_just_worked()
    connection.used_at -= 2 * db.TRUSTED_SECONDS  # type: ignore[attr-defined]  # it was idle for long
    assert [is_trusted() for _ in range(3)] == [False, True, True]
    monkeypatch.setattr(db, "TRUSTED_SECONDS", 0.0)
    assert not is_trusted()


def test_both_are_told_of_every_request() -> None:
    for signal, told in ((request_started, "trust_what_just_worked"), (request_finished, "note_what_just_worked")):
        assert told in [uid for (uid, _), *_ in signal.receivers]
