"""What goes wrong on purpose: which request is spoilt, how that looks, and whether it was carried out all the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orders.brokers.paper.app import create_app
from orders.brokers.paper.gate import TIMED_OUT
from orders.brokers.paper.limits import TOO_MANY
from orders.tests.brokers.paper.api.client import FORM, Client, Door, logged_in
from orders.tests.brokers.paper.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path, "--no-rate-limits", "--redirect-url", "http://127.0.0.1:9/back")
    engine.price("NSE:SBIN", 97_000)
    yield engine
    engine.close()


@pytest.fixture
def kite(engine: Engine) -> Client:
    return logged_in(Door(create_app(engine.services)), engine)


def fault(kite: Client, kind: str, **fields: Any) -> None:
    kite.engine.services.faults.add({"kind": kind, "calls": 1, **fields})


@pytest.mark.parametrize(
    ("kind", "fields", "code", "error", "words"),
    [
        ("http_5xx", {"status": 503}, 503, "NetworkException", "Gateway timed out."),
        ("http_5xx", {"status": 504}, 504, "NetworkException", "Gateway timed out."),
        ("http_5xx", {"status": 500}, 500, "GeneralException", "Something unexpected happened."),
        ("http_429", {}, 429, "NetworkException", TOO_MANY),
        ("timed_out", {}, 504, "NetworkException", TIMED_OUT),
    ],
)
@pytest.mark.parametrize("taken", [False, True])
def test_a_spoilt_answer_says_nothing_of_whether_the_order_was_taken(
    kite: Client, kind: str, fields: dict[str, Any], code: int, error: str, words: str, taken: bool
) -> None:
    fault(kite, kind, route="place", taken=taken, **fields)
    assert kite.refused("POST", "/orders/regular", FORM) == (code, error, words)
    was_taken = taken or kind == "timed_out"
    assert len(kite.data("GET", "/orders")) == int(was_taken)


@pytest.mark.parametrize("status", [500, 502, 599])
def test_a_page_of_html_in_place_of_an_answer(kite: Client, status: int) -> None:
    fault(kite, "html_error", status=status)
    answer = kite.call("GET", "/orders")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (status, "text/html")
    assert f"<title>{status}" in answer.text
    assert kite.call("GET", "/orders").status_code == 200


@pytest.mark.parametrize("taken", [False, True])
def test_a_slow_answer_comes_in_the_end(kite: Client, taken: bool) -> None:
    fault(kite, "delay", seconds=0.05, taken=taken, route="place")
    assert kite.order(kite.place())["status"] == "OPEN"


def test_a_token_that_ends_ends_before_the_request(kite: Client) -> None:
    fault(kite, "token_expiry", route="book")
    assert kite.refused("GET", "/orders")[:2] == (403, "TokenException")
    assert kite.refused("GET", "/trades")[:2] == (403, "TokenException"), "it stays ended"


@pytest.mark.parametrize(
    ("route", "struck"),
    [
        ("book", {"/orders"}), ("trades", {"/trades"}), ("funds", {"/user/margins"}),
        ("portfolio", {"/portfolio/positions", "/portfolio/holdings"}), ("quotes", {"/quote/ltp?i=NSE:SBIN"}),
        ("writes", set()), ("any", {"/orders", "/trades", "/user/margins", "/portfolio/positions", "/portfolio/holdings",
                                    "/quote/ltp?i=NSE:SBIN", "/user/profile"}),
    ],
)  # fmt: skip
def test_a_fault_strikes_the_routes_that_it_names(kite: Client, route: str, struck: set[str]) -> None:
    paths = ("/orders", "/trades", "/user/margins", "/portfolio/positions", "/portfolio/holdings",
             "/quote/ltp?i=NSE:SBIN", "/user/profile")  # fmt: skip
    fault(kite, "http_429", route=route, calls=None)
    assert {path for path in paths if kite.call("GET", path).status_code == 429} == struck


def test_several_faults_strike_together_and_the_first_spoiler_decides(kite: Client) -> None:
    fault(kite, "delay", seconds=0.01)
    fault(kite, "http_429")
    fault(kite, "html_error", status=500)
    assert kite.call("GET", "/orders").status_code == 429
    assert kite.call("GET", "/orders").status_code == 200, "all three had one call"


def test_the_operators_routes_are_spared(kite: Client) -> None:
    fault(kite, "http_5xx", calls=None)
    headers = {"X-Paper-Control": "paper-control"}
    assert kite.door.get("/control/health", headers=headers).status_code == 200
    assert kite.call("GET", "/orders").status_code == 503
