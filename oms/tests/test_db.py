"""A connection that has just worked is trusted for a moment, and one that may be old is asked first."""

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection

from oms.lib import db


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    asked: list[int] = []
    connection.ensure_connection()
    monkeypatch.setattr(connection, "is_usable", lambda: bool(asked.append(1)) or True)
    monkeypatch.setitem(connection.settings_dict, "CONN_HEALTH_CHECKS", True)
    monkeypatch.setattr(connection, "health_check_enabled", True)
    return asked


def request() -> None:
    connection.health_check_done = False  # type: ignore[attr-defined]  # as Django does at the start of a request
    request_started.send(sender=None)
    connection.close_if_health_check_failed()
    request_finished.send(sender=None)


@pytest.mark.django_db
def test_a_busy_process_asks_once(asked: list[int]) -> None:
    connection.used_at = -db.TRUSTED_SECONDS  # type: ignore[attr-defined]  # it was idle since long ago
    for _ in range(3):
        request()
    assert len(asked) == 1


@pytest.mark.django_db
def test_after_an_idle_moment_it_asks_again(asked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "TRUSTED_SECONDS", 0.0)
    for _ in range(3):
        request()
    assert len(asked) == 3
