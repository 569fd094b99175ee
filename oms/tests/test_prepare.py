"""`manage.py prepare` says which server is away, in one sentence."""

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from pytest_django import DjangoDbBlocker


def test_an_absent_database_is_named(monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), monkeypatch.context() as patch:
        connection.close()
        patch.setitem(connection.settings_dict, "OPTIONS", {"host": "/nowhere"})
        with pytest.raises(CommandError, match=r"DATABASE_URL: no database answers there: .*/nowhere"):
            call_command("prepare")


@pytest.mark.django_db
def test_an_absent_redis_is_named() -> None:
    with (
        override_settings(REDIS_URL="redis://127.0.0.1:1/0"),
        pytest.raises(CommandError, match="REDIS_URL: no Redis or Valkey answers there"),
    ):
        call_command("prepare")


@pytest.mark.django_db
def test_a_second_time_changes_nothing() -> None:
    assert settings.DEMO
    call_command("prepare")
