"""Faults on demand: what the client sees, and what the exchange truly holds."""

from typing import Any

import pytest
import requests

from orders.brokers.paper.faults import Faults
from orders.brokers.paper.gate import classify
from orders.tests.brokers.paper.official import KiteConnect, exceptions
from orders.tests.brokers.paper.process import PaperExchange, wait_for

FORM = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "SBIN",
    "transaction_type": "BUY",
    "quantity": 10,
    "product": "CNC",
    "order_type": "LIMIT",
    "price": 960,
}


@pytest.mark.parametrize(("kind", "taken"), [("accept_and_drop", 1), ("drop", 0)])
def test_a_dropped_answer_tells_nothing_of_the_order(
    exchange: PaperExchange, kite: KiteConnect, kind: str, taken: int
) -> None:
    exchange.control("POST", "/faults", {"kind": kind, "route": "place", "calls": 1})
    with pytest.raises(requests.ConnectionError):
        kite.place_order(**FORM, tag="dropped")
    assert len(exchange.control("GET", "/orders?tag=dropped")) == taken
    kite.place_order(**FORM, tag="dropped")
    assert len(kite.orders()) == taken + 1


@pytest.mark.parametrize("kind", ["http_5xx", "html_error"])
def test_a_gateway_error_may_hide_an_order_that_was_taken(
    exchange: PaperExchange, kite: KiteConnect, kind: str
) -> None:
    exchange.control("POST", "/faults", {"kind": kind, "route": "writes", "calls": 1, "taken": True})
    with pytest.raises(exceptions.KiteException):
        kite.place_order(**FORM, tag="hidden")
    [row] = wait_for(kite.orders, lambda rows: rows and rows[0]["status"] == "OPEN")
    assert row["tag"] == "hidden"


@pytest.mark.parametrize("taken", [False, True])
def test_a_slow_answer_runs_into_the_clients_timeout(exchange: PaperExchange, kite: KiteConnect, taken: bool) -> None:
    fault = {"kind": "delay", "route": "place", "calls": 1, "seconds": 0.5, "taken": taken}
    exchange.control("POST", "/faults", fault)
    kite.timeout = 0.1
    with pytest.raises(requests.ReadTimeout):
        kite.place_order(**FORM, tag="slow")
    kite.timeout = 7
    wait_for(kite.orders, lambda rows: [row["tag"] for row in rows] == ["slow"])


def test_a_stale_book_hides_what_happened_since(exchange: PaperExchange, kite: KiteConnect) -> None:
    first = kite.place_order(**FORM)
    wait_for(kite.orders, lambda rows: rows[0]["status"] == "OPEN")
    fault = exchange.control("POST", "/faults", {"kind": "stale_book", "seconds": 60})
    second = kite.place_order(**FORM)
    assert [row["order_id"] for row in kite.orders()] == [first]
    assert kite.order_history(second)[0]["status"] == "PUT ORDER REQ RECEIVED"
    exchange.control("DELETE", f"/faults/{fault['id']}")
    assert [row["order_id"] for row in kite.orders()] == [first, second]


def test_a_cancelled_order_may_turn_out_filled(exchange: PaperExchange, kite: KiteConnect) -> None:
    exchange.control("POST", "/faults", {"kind": "cancelled_then_filled", "calls": 1, "seconds": 0.3})
    order = kite.place_order(**FORM)
    wait_for(kite.orders, lambda rows: rows[0]["status"] == "OPEN")
    kite.cancel_order("regular", order)
    wait_for(kite.orders, lambda rows: rows[0]["status"] == "CANCELLED")
    [row] = wait_for(kite.orders, lambda rows: rows[0]["status"] == "COMPLETE")
    assert (row["filled_quantity"], row["average_price"]) == (10, 960)
    assert len(kite.order_trades(order)) == 1


def test_control_needs_its_key_and_names_what_does_not_fit(exchange: PaperExchange) -> None:
    assert requests.get(f"{exchange.root}/control/health", timeout=5).status_code == 403
    for path, body, words in (
        ("/faults", {"kind": "magic"}, "kind must be one of"),
        ("/faults", {"kind": "drop", "route": "nowhere"}, "route must be one of"),
        ("/faults", {"kind": "drop", "probability": 2}, "probability"),
        ("/faults", {"kind": "drop", "when": "now"}, "unknown field when"),
        ("/prices", {"NSE:SBIN": {"last_price": 970.01}}, "multiple of 0.05"),
        ("/prices", {"NSE:SBIN": {"last_price": 500}}, "must lie within"),
        ("/prices", {"NSE:NOSUCH": {"last_price": 500}}, "404: there is no NSE:NOSUCH"),
        ("/clock", {"mode": "lunch"}, "mode must be one of"),
        ("/limits", {"orders": 5}, "not a limit"),
        ("/limits", {"orders_per_second": -1}, "whole number from 0"),
        ("/tick", {"count": 0}, "count"),
        ("/settings", {"tick_seconds": "fast"}, "tick_seconds"),
        ("/apps", {"api_key": "x"}, "api_secret"),
        ("/clients", {"user_id": "no way"}, "user_id"),
        ("/clients", {"user_id": "PX0001", "holdings": {"NFO:NIFTY26NOVFUT": {"quantity": 1}}}, "cannot be held"),
    ):
        with pytest.raises(ValueError, match=words):
            exchange.control("POST", path, body)


def draws(faults: Faults, count: int, **fields: Any) -> list[bool]:
    faults.add(fields)
    return [bool(faults.draw((fields["kind"],), "place")) for _ in range(count)]


def test_a_seed_decides_when_a_fault_strikes() -> None:
    first, again, other = Faults(1), Faults(1), Faults(2)
    wanted = draws(first, 200, kind="drop", probability=0.3)
    again.draw(("delay",), "book")  # other traffic makes no difference
    assert draws(again, 200, kind="drop", probability=0.3) == wanted
    assert draws(other, 200, kind="drop", probability=0.3) != wanted
    assert 30 < sum(wanted) < 90


def test_a_fault_for_the_next_calls_ends_by_itself() -> None:
    assert draws(Faults(1), 5, kind="drop", calls=2) == [True, True, False, False, False]
    assert draws(Faults(1), 3, kind="drop", route="book") == [False] * 3


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", "/orders/regular", "place"),
        ("PUT", "/orders/regular/1", "modify"),
        ("DELETE", "/orders/regular/1", "cancel"),
        ("GET", "/orders", "book"),
        ("GET", "/orders/1", "order"),
        ("GET", "/orders/1/trades", "trades"),
        ("GET", "/trades", "trades"),
        ("GET", "/user/margins/equity", "funds"),
        ("GET", "/user/profile", "other"),
        ("GET", "/portfolio/holdings", "portfolio"),
        ("GET", "/quote/ltp", "quotes"),
        ("POST", "/margins/orders", "calculators"),
        ("POST", "/session/token", "session"),
        ("GET", "/instruments/NSE", "instruments"),
    ],
)
def test_routes_have_classes(method: str, path: str, route: str) -> None:
    assert classify(method, path) == route


def test_prices_are_set_all_or_none(exchange: PaperExchange, kite: KiteConnect) -> None:
    with pytest.raises(ValueError, match="NSE:INFY"):
        exchange.control("POST", "/prices", {"NSE:SBIN": {"last_price": 960}, "NSE:INFY": {"last_price": 1}})
    assert kite.ltp("NSE:SBIN")["NSE:SBIN"]["last_price"] == 970
    for fields in (5, {"volume_per_tick": "many"}, {"volume_per_tick": -1}, {"price": 5}, {"last_price": "x"}):
        with pytest.raises(ValueError, match="400"):
            exchange.control("POST", "/prices", {"NSE:SBIN": fields})
