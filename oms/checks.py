"""System checks: settings that cannot work together, refused with one sentence each before anything runs."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1", "testserver"}
OLDEST_POSTGRES = 15


@register(Tags.security)
def check_secrets(**_options: Any) -> list[CheckMessage]:
    """Outside the demo every secret is set, and is not the demo's."""
    if settings.DEMO:
        return []
    found: list[CheckMessage] = []

    def refuse(number: int, sentence: str) -> None:
        hint = "Set it in the environment, or OMS_DEMO=1 to work on the demo."
        found.append(Error(sentence, hint=hint, id=f"oms.E{number:03}"))

    key = settings.SECRET_KEY
    if key == settings.DEMO_SECRET_KEY:
        refuse(1, "OMS_SECRET_KEY is the demo's key, which everybody knows.")
    elif key == settings.NO_SECRET_KEY or len(key) < 40:
        refuse(2, "OMS_SECRET_KEY is missing or shorter than 40 characters.")
    if not settings.FERNET_KEYS:
        refuse(3, "OMS_FERNET_KEYS is missing: broker credentials could not be encrypted.")
    elif settings.DEMO_FERNET_KEY in settings.FERNET_KEYS:
        refuse(4, "OMS_FERNET_KEYS contains the demo's key, which everybody knows.")
    return found


@register(Tags.security)
def check_demo(**_options: Any) -> list[CheckMessage]:
    """The demo has known logins, so it stays on this machine; what is not the demo is not loosened."""
    found: list[CheckMessage] = []
    if settings.DEMO:
        abroad = sorted(set(settings.ALLOWED_HOSTS) - LOOPBACK)
        if abroad:
            found.append(Error(f"OMS_DEMO is on and OMS_ALLOWED_HOSTS names {', '.join(abroad)}.", id="oms.E005"))
        return found
    if settings.DEBUG:
        found.append(Error("OMS_DEBUG is on outside the demo: error pages would show secrets.", id="oms.E006"))
    if not settings.REQUIRE_2FA:
        found.append(Error("OMS_REQUIRE_2FA is off outside the demo.", id="oms.E007"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Error("OMS_ALLOWED_HOSTS allows every host.", id="oms.E008"))
    return found


@register()
def check_queue(**_options: Any) -> list[CheckMessage]:
    """A task that runs longer than Redis waits for its acknowledgement would be run again beside itself."""
    visible_after = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    found: list[CheckMessage] = []
    if visible_after <= settings.CELERY_TASK_TIME_LIMIT:
        found.append(
            Error(
                f"The queue's visibility_timeout ({visible_after} s) must be longer than CELERY_TASK_TIME_LIMIT"
                f" ({settings.CELERY_TASK_TIME_LIMIT} s).",
                id="oms.E009",
            )
        )
    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    unknown = sorted(routed - set(settings.QUEUES))
    if unknown:
        found.append(Error(f"CELERY_TASK_ROUTES names {', '.join(unknown)}, which no worker reads.", id="oms.E010"))
    return found


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **_options: Any) -> list[CheckMessage]:
    """Row locks, MERGE and partitioned triggers are used as PostgreSQL 15 has them."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        assert isinstance(connection, DatabaseWrapper)
        version = connection.pg_version // 10_000
        if version < OLDEST_POSTGRES:
            found.append(Error(f"PostgreSQL {version} is older than {OLDEST_POSTGRES}.", id="oms.E011"))
    return found


def refuse_impossible() -> None:
    """For processes that Django's own commands do not check: web and worker.

    Raises ImproperlyConfigured with every sentence.
    """
    found = [*check_secrets(), *check_demo(), *check_queue()]
    if found:
        raise ImproperlyConfigured(" ".join(f"{error.msg} ({error.id})" for error in found))
