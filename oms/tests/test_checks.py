"""Settings that cannot work together are refused, each with its own sentence."""

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from oms.checks import refuse_impossible

REAL = {
    "DEMO": False,
    "DEBUG": False,
    "SECRET_KEY": "k" * 50,
    "FERNET_KEYS": ["a key of our own"],
    "REQUIRE_2FA": True,
    "ALLOWED_HOSTS": ["oms.example.com"],
}
DEMO = {"DEMO": True, "ALLOWED_HOSTS": ["localhost", "127.0.0.1"]}


def refused(changed: dict[str, object]) -> list[str]:
    with override_settings(**changed):
        return [str(found.id) for found in run_checks() if str(found.id).startswith("oms.E")]


def test_what_is_possible_passes() -> None:
    assert refused(REAL) == []
    assert refused(DEMO) == []


@pytest.mark.parametrize(
    ("base", "change", "expected"),
    [
        (REAL, {"SECRET_KEY": "demo-only-secret-key-that-checks-refuse-outside-the-demo"}, "oms.E001"),
        (REAL, {"SECRET_KEY": settings.NO_SECRET_KEY}, "oms.E002"),
        (REAL, {"SECRET_KEY": "short"}, "oms.E002"),
        (REAL, {"FERNET_KEYS": []}, "oms.E003"),
        (REAL, {"FERNET_KEYS": ["a key of our own", "demo-only-fernet-key"]}, "oms.E004"),
        (DEMO, {"ALLOWED_HOSTS": ["localhost", "oms.example.com"]}, "oms.E005"),
        (DEMO, {"ALLOWED_HOSTS": ["*"]}, "oms.E005"),
        (REAL, {"DEBUG": True}, "oms.E006"),
        (REAL, {"REQUIRE_2FA": False}, "oms.E007"),
        (REAL, {"ALLOWED_HOSTS": ["*"]}, "oms.E008"),
        (REAL, {"CELERY_TASK_TIME_LIMIT": 300}, "oms.E009"),
        (REAL, {"CELERY_TASK_ROUTES": {"orders.tasks.*": {"queue": "nobody"}}}, "oms.E010"),
    ],
)
def test_what_is_impossible_is_refused(base: dict[str, object], change: dict[str, object], expected: str) -> None:
    assert refused(base | change) == [expected]


def test_a_process_that_serves_refuses_to_start() -> None:
    with (
        override_settings(**REAL | {"DEBUG": True, "FERNET_KEYS": []}),
        pytest.raises(
            ImproperlyConfigured, match=r"OMS_FERNET_KEYS is missing.*\(oms.E003\) OMS_DEBUG is on.*\(oms.E006\)"
        ),
    ):
        refuse_impossible()


@pytest.mark.django_db
def test_the_database_in_use_is_new_enough() -> None:
    assert run_checks(databases=["default"], tags=["database"]) == []
