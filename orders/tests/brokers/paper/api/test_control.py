"""The operator's routes of the exchange: guarded, all or nothing, and honest about what is held."""

from collections.abc import Callable
from typing import Any

import pytest

from orders.tests.brokers.paper.api.client import Client, Door
from orders.tests.brokers.paper.engine import Engine

Control = Callable[..., Any]
GUARDED = [
    ("GET", "/health"), ("GET", "/prices"), ("POST", "/prices"), ("POST", "/clock"), ("POST", "/tick"),
    ("DELETE", "/faults"), ("POST", "/limits"), ("GET", "/apps"), ("POST", "/clients"), ("GET", "/orders"),
    ("POST", "/reset"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("key", ["", "wrong", "paper-control ", "päper"])
def test_nothing_without_the_key(door: Door, method: str, path: str, key: str) -> None:
    headers = {"X-Paper-Control": key.encode()} if key else {}
    answer = door.request(method, f"/control{path}", headers=headers)
    assert (answer.status_code, answer.json()) == (403, {"error": "X-Paper-Control is missing or wrong"})


@pytest.mark.parametrize(("method", "path"), [one for one in GUARDED if one[0] == "POST"])
@pytest.mark.parametrize("body", [[], "text", 5])
def test_a_body_is_an_object(control: Control, method: str, path: str, body: Any) -> None:
    answer = control(method, path, body)
    assert (answer.status_code, answer.json()["error"]) == (400, "the body must be a JSON object")


@pytest.mark.parametrize("path", ["/clock", "/tick", "/faults", "/limits", "/settings", "/apps", "/clients", "/reset"])
def test_a_field_that_is_not_there_is_named(control: Control, path: str) -> None:
    answer = control("POST", path, {"colour": "blue"})
    assert answer.status_code == 400
    assert "colour" in answer.json()["error"]


def test_health_counts_what_is_going_on(control: Control, kite: Client) -> None:
    before = control("GET", "/health").json()
    kite.place()
    kite.place(price="970")
    control("POST", "/faults", {"kind": "drop", "calls": 1, "route": "book"})
    control("POST", "/tick", {"count": 3})
    after = control("GET", "/health").json()
    assert (after["orders"] - before["orders"], after["live_orders"], after["faults"]) == (2, 1, 1)
    assert after["ticks"] - before["ticks"] == 3
    assert (after["status"], after["open"], after["clients"]) == ("ok", True, 1)


class TestPrices:
    def test_a_price_is_matched_at_once(self, control: Control, kite: Client) -> None:
        order_id = kite.place(price="960")
        control("POST", "/prices", {"NSE:SBIN": {"last_price": 960, "freeze": True}})
        assert kite.order(order_id)["status"] == "COMPLETE"

    def test_what_is_asked_for_is_told(self, control: Control) -> None:
        [told] = control("GET", "/prices?i=NSE:SBIN").json().values()
        assert (told["last_price"], told["freeze"]) == (970, True)
        assert len(control("GET", "/prices").json()) > 100
        assert control("GET", "/prices?i=NSE:GHOST").status_code == 404

    @pytest.mark.parametrize(
        "fields",
        [5, {"last_price": 970.01}, {"last_price": 1}, {"last_price": "x"}, {"volume_per_tick": -1},
         {"volume_per_tick": 1.5}, {"volume_per_tick": True}, {"lastPrice": 970}],
    )  # fmt: skip
    def test_one_that_does_not_fit_changes_none(self, control: Control, fields: Any) -> None:
        answer = control("POST", "/prices", {"NSE:INFY": {"last_price": 1545}, "NSE:SBIN": fields})
        assert answer.status_code == 400
        before = control("GET", "/prices?i=NSE:INFY&i=NSE:SBIN").json()
        assert before["NSE:SBIN"]["last_price"] == 970
        assert before["NSE:INFY"]["last_price"] != 1545

    def test_a_price_beyond_the_band_starts_the_day_anew_there(self, control: Control) -> None:
        control("POST", "/prices", {"NSE:SBIN": {"last_price": 500, "rebase": True}})
        [told] = control("GET", "/prices?i=NSE:SBIN").json().values()
        assert (told["close"], told["lower_circuit_limit"], told["upper_circuit_limit"]) == (500, 450, 550)


class TestClock:
    def test_it_is_set_frozen_and_let_go(self, control: Control) -> None:
        told = control("POST", "/clock", {"mode": "market", "now": "2026-11-23T11:00:00", "frozen": True}).json()
        assert (told["now"], told["open"]) == ("2026-11-23T11:00:00+05:30", True)
        assert control("GET", "/clock").json() == told
        holiday = control("POST", "/clock", {"now": "2026-11-24T11:00:00", "frozen": True, "holidays": ["2026-11-24"]})
        assert holiday.json()["open"] is False
        assert control("POST", "/clock", {}).json()["frozen_at"] is None

    @pytest.mark.parametrize("body", [{"mode": "lunch"}, {"now": "noon"}, {"holidays": ["tomorrow"]}, {"holidays": 5}])
    def test_what_is_no_time_is_refused(self, control: Control, body: dict[str, Any]) -> None:
        before = control("GET", "/clock").json()
        assert control("POST", "/clock", body).status_code == 400
        assert control("GET", "/clock").json()["mode"] == before["mode"]

    def test_orders_lapse_as_the_clock_passes_the_close(self, control: Control, kite: Client) -> None:
        control("POST", "/clock", {"mode": "market", "now": "2026-11-23T11:00:00", "frozen": True})
        order_id = kite.place()
        control("POST", "/clock", {"now": "2026-11-23T15:30:00", "frozen": True})
        assert kite.order(order_id)["status"] == "CANCELLED"


class TestFaults:
    def test_they_are_listed_and_lifted_one_by_one_or_all(self, control: Control) -> None:
        first, second = (control("POST", "/faults", {"kind": "drop", "calls": 1}).json()["id"] for _ in range(2))
        assert [fault["id"] for fault in control("GET", "/faults").json()] == [first, second]
        assert control("DELETE", f"/faults/{first}").json() == {"removed": first}
        assert control("DELETE", f"/faults/{first}").status_code == 404
        assert control("DELETE", "/faults").json() == control("GET", "/faults").json() == []

    @pytest.mark.parametrize(
        "fault",
        [{}, {"kind": "magic"}, {"kind": "drop", "route": "nowhere"}, {"kind": "drop", "probability": 1.5},
         {"kind": "drop", "calls": 0}, {"kind": "drop", "calls": True}, {"kind": "drop", "status": 404},
         {"kind": "delay", "seconds": 601}, {"kind": "delay", "seconds": "long"}, {"kind": "drop", "id": 7}],
    )  # fmt: skip
    def test_one_that_makes_no_sense_is_not_put_in_force(self, control: Control, fault: dict[str, Any]) -> None:
        assert control("POST", "/faults", fault).status_code == 400
        assert control("GET", "/faults").json() == []


class Doors:
    def test_one_is_added_and_trades(self, control: Control, other: Client) -> None:
        told = control(
            "POST", "/clients", {"user_id": "PX0002", "cash": 100_000.50, "holdings": {"NSE:INFY": {"quantity": 5}}}
        ).json()
        assert (told["cash"], told["available"]) == (100_000.5, 100_000.5)
        assert told["holdings"]["NSE:INFY"]["quantity"] == 5
        other.place(quantity="100")
        [again] = [one for one in control("GET", "/clients").json() if one["user_id"] == "PX0002"]
        assert again["available"] == pytest.approx(100_000.5 - 96_000)

    @pytest.mark.parametrize(
        "body",
        [{}, {"user_id": "no way"}, {"user_id": "x" * 21}, {"user_id": "A", "cash": "much"}, {"user_id": "A", "cash": 0.001},
         {"user_id": "A", "holdings": {"NSE:SBIN": {"quantity": 0}}}, {"user_id": "A", "holdings": {"NSE:SBIN": {}}},
         {"user_id": "A", "holdings": {"NFO:NIFTY26NOVFUT": {"quantity": 1}}}],
    )  # fmt: skip
    def test_one_that_does_not_fit_is_not_added(self, control: Control, body: dict[str, Any]) -> None:
        assert control("POST", "/clients", body).status_code == 400
        assert [one["user_id"] for one in control("GET", "/clients").json()] == ["PX0001"]


class TestApps:
    def test_one_is_added_and_changed_in_parts(self, control: Control) -> None:
        made = control("POST", "/apps", {"api_key": "mine", "api_secret": "s"}).json()
        changed = control("POST", "/apps", {"api_key": "mine", "postback_url": "http://127.0.0.1:9/"}).json()
        assert changed == made | {"postback_url": "http://127.0.0.1:9/"}
        assert {app["api_key"] for app in control("GET", "/apps").json()} == {"paper", "mine"}
        for body in ({}, {"api_key": "new"}, {"api_secret": "s"}):
            assert control("POST", "/apps", body).status_code == 400


def test_the_truth_is_told_whatever_faults_pretend(control: Control, kite: Client) -> None:
    order_id = kite.place(tag="mine")
    control("POST", "/faults", {"kind": "stale_book", "seconds": 60})
    kite.data("DELETE", f"/orders/regular/{order_id}")
    assert kite.order(order_id)["status"] == "OPEN", "an old picture"
    [truth] = control("GET", "/orders?tag=mine").json()
    assert (truth["status"], truth["live"], truth["resting"], truth["trades"]) == ("CANCELLED", False, False, [])
    assert control("GET", "/orders?tag=nobody").json() == []


@pytest.mark.parametrize("body", [{"tick_seconds": -1}, {"tick_seconds": "fast"}, {"latency_seconds": 601}])
def test_the_pace_is_within_reason(control: Control, body: dict[str, Any]) -> None:
    before = control("GET", "/settings").json()
    assert control("POST", "/settings", body).status_code == 400
    assert control("GET", "/settings").json() == before
    assert control("POST", "/settings", {"tick_seconds": 2}).json() == before | {"tick_seconds": 2}


@pytest.mark.parametrize("count", [0, 10_001, 1.5, "many"])
def test_ticks_are_counted_in_whole_numbers(control: Control, count: Any) -> None:
    before = control("GET", "/health").json()["ticks"]
    assert control("POST", "/tick", {"count": count}).status_code == 400
    assert control("GET", "/health").json()["ticks"] == before


@pytest.mark.parametrize("sessions", [False, True])
def test_a_reset_leaves_a_fresh_exchange_and_logins_unless_told(
    control: Control, kite: Client, other: Client, engine: Engine, sessions: bool
) -> None:
    kite.place(price="970")
    control("POST", "/faults", {"kind": "http_429", "probability": 0})
    told = control("POST", "/reset", {"sessions": sessions}).json()
    assert (told["orders"], told["faults"]) == (0, 0)
    cash = {one["user_id"]: one["cash"] for one in control("GET", "/clients").json()}
    assert cash == {"PX0001": 10_000_000, "PX0002": 0}
    assert kite.call("GET", "/orders").status_code == (403 if sessions else 200)
    assert control("GET", "/orders").json() == []
