"""What goes wrong outside any endpoint's own rules is a problem document too."""

from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.test import Client as PlainClient
from django.test import RequestFactory

from oms.lib.api.client import client_ip
from oms.tests.api_cast import ORDERS, Cast, Client, as_trader, cast, limit_buy
from orders.api import placing
from orders.models import BrokerAccount

__all__ = ["as_trader", "cast"]


def is_problem(answer: Any, status: int, code: str) -> bool:
    document = answer.json()
    return (answer.status_code, answer["Content-Type"], document["status"], document["code"]) == (
        status, "application/problem+json", status, code,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api/v1/orders/", "/api/v1/orders/not-a-uuid", "/api/v2/orders"])
def test_an_unknown_address(path: str) -> None:
    assert is_problem(PlainClient().get(path), 404, "not_found")


def test_an_unknown_host_is_refused_without_a_page() -> None:
    assert is_problem(PlainClient().get("/api/v1/orders", HTTP_HOST="evil.example"), 400, "bad_request")


@pytest.mark.parametrize(
    "error", [OperationalError("canceling statement due to lock timeout"), redis.ConnectionError()]
)
def test_a_part_that_is_busy_or_away_asks_to_come_back(
    as_trader: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(placing, "place_joined", fail)
    answer = as_trader.send("POST", ORDERS, limit_buy())
    assert is_problem(answer, 503, "unavailable")
    assert int(answer["Retry-After"]) > 0


def test_a_crash_tells_nothing_but_that_it_happened(as_trader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(placing, "place_joined", crash)
    as_trader.raise_request_exception = False
    answer = as_trader.send("POST", ORDERS, limit_buy())
    assert is_problem(answer, 500, "internal_error")
    assert "secret" not in answer.content.decode()
    assert answer["X-Request-ID"]


def test_a_view_outside_the_framework_asks_to_come_back_as_well(
    cast: Cast, client: PlainClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("the database system is starting up")

    monkeypatch.setattr(BrokerAccount.objects, "filter", away)
    client.raise_request_exception = False
    answer = client.post("/api/v1/broker/kite/postback", {"user_id": "PX0001"}, content_type="application/json")
    assert is_problem(answer, 503, "unavailable")
    assert int(answer["Retry-After"]) > 0


def test_head_and_options(as_trader: Client) -> None:
    head = as_trader.head(ORDERS)
    assert (head.status_code, head.content) == (200, b"")
    assert as_trader.options(ORDERS).status_code == 405


def test_nothing_of_the_api_is_kept_by_caches(as_trader: Client) -> None:
    assert as_trader.get(ORDERS)["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "198.51.100.1", "127.0.0.1"),  # a header that anybody can send is not believed
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_whose_address_is_believed(settings: Any, proxies: int, forwarded: str, address: str) -> None:
    settings.TRUSTED_PROXIES = proxies
    assert client_ip(RequestFactory().get("/", HTTP_X_FORWARDED_FOR=forwarded)) == address
