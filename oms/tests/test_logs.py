"""A secret that reaches a log call does not reach the log; a request can be found by its id."""

import logging
import sys

import pytest
from django.test import Client

from oms.monitoring.logs import HIDDEN, configure, hide_secrets

SECRET = "s3cr3tvalue99"


@pytest.mark.parametrize(
    "event",
    [
        {"event": "login", "password": SECRET},
        {"event": "login", "api_secret": SECRET},
        {"event": "session", "access_token": SECRET, "requestToken": SECRET},
        {"event": "session", "headers": {"Authorization": f"token key:{SECRET}", "X-Kite-Version": "3"}},
        {"event": f"sent Authorization: Bearer {SECRET} to the broker"},
        {"event": "request_finished", "request": f"GET /api/v1/broker/kite/callback?request_token={SECRET}"},
        {"event": "account", "pan": "ABCDE1234F"},
    ],
)
def test_secrets_are_masked(event: dict[str, object]) -> None:
    shown = repr(hide_secrets(logging.getLogger(), "info", dict(event)))
    assert SECRET not in shown
    assert "ABCDE1234F" not in shown


def test_the_rest_is_kept() -> None:
    event = {"event": "order_acked", "order_id": "0198", "company": "PANACEA", "state": "ACKED", "attempt": 2}
    assert hide_secrets(logging.getLogger(), "info", dict(event)) == event
    assert hide_secrets(logging.getLogger(), "info", {"token": "x", "order_id": "1"}) == {
        "token": HIDDEN,
        "order_id": "1",
    }


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_told_without_what_its_variables_held(log_format: str) -> None:
    def login(credential: str) -> None:
        raise RuntimeError(f"refused: Authorization: Bearer {credential}")

    formatter = configure(log_format=log_format, level="INFO")["formatters"]["structured"]
    shown = formatter.pop("()")(**formatter)
    try:
        login(SECRET)
    except RuntimeError:
        record = logging.LogRecord("oms", logging.ERROR, __file__, 1, "login_failed", None, sys.exc_info())
    line = shown.format(record)
    assert "login_failed" in line
    assert "RuntimeError" in line
    assert SECRET not in line


@pytest.mark.django_db
def test_a_response_carries_the_id_of_its_log_lines(client: Client) -> None:
    first, second = client.get("/nowhere"), client.get("/nowhere")
    assert len(first["X-Request-ID"]) == 36
    assert first["X-Request-ID"] != second["X-Request-ID"]
