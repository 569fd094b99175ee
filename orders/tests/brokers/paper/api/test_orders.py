"""Orders over Kite's routes: each client's own, in the envelope, and refused without a trace."""

from typing import Any

import pytest

from orders.tests.brokers.paper.api.client import FORM, Client, Door
from orders.tests.brokers.paper.engine import Engine


def test_an_order_is_in_the_book_with_its_history_and_trades(kite: Client) -> None:
    order_id = kite.place(price="970")
    row = kite.order(order_id)
    assert (row["status"], row["filled_quantity"], row["average_price"]) == ("COMPLETE", 10, 970)
    history = kite.data("GET", f"/orders/{order_id}")
    assert [step["status"] for step in history] == [
        "PUT ORDER REQ RECEIVED", "VALIDATION PENDING", "OPEN PENDING", "OPEN", "COMPLETE",
    ]  # fmt: skip
    [trade] = kite.data("GET", f"/orders/{order_id}/trades")
    assert (trade["quantity"], trade["average_price"], trade["order_id"]) == (10, 970, order_id)
    assert kite.data("GET", "/trades") == [trade]


def test_the_rows_and_the_history_differ_as_kites_do(kite: Client) -> None:
    order_id = kite.place()
    row, last = kite.order(order_id), kite.data("GET", f"/orders/{order_id}")[-1]
    missing = {"exchange_update_timestamp", "status_message_raw", "guid", "meta", "market_protection"}
    assert row.keys() - last.keys() == missing
    assert {name: row[name] for name in last} == last


def test_nobody_sees_or_touches_what_is_somebody_elses(kite: Client, other: Client) -> None:
    order_id = kite.place()
    assert other.data("GET", "/orders") == other.data("GET", "/trades") == []
    for method, path in (
        ("GET", f"/orders/{order_id}"), ("GET", f"/orders/{order_id}/trades"), ("DELETE", f"/orders/regular/{order_id}"),
        ("PUT", f"/orders/regular/{order_id}"),
    ):  # fmt: skip
        code, error, words = other.refused(method, path, {"price": "1"} if method == "PUT" else None)
        assert (code, error) == (400, "OrderException")
        assert "order_id" in words
    assert kite.order(order_id)["status"] == "OPEN"


@pytest.mark.parametrize("path", ["/orders", "/trades", "/orders/1", "/portfolio/positions", "/user/margins", "/quote"])
def test_nothing_is_shown_without_a_session(door: Door, path: str) -> None:
    answer = door.get(path)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")
    answer = door.get(path, headers={"Authorization": "token paper:guess"})
    assert (answer.status_code, answer.json()["error_type"]) == (403, "TokenException")


def test_changing_and_cancelling(kite: Client) -> None:
    order_id = kite.place()
    assert kite.data("PUT", f"/orders/regular/{order_id}", {"price": "961", "quantity": "20"}) == {"order_id": order_id}
    row = kite.order(order_id)
    assert (row["price"], row["quantity"], row["status"]) == (961, 20, "OPEN")
    assert kite.data("DELETE", f"/orders/regular/{order_id}") == {"order_id": order_id}
    row = kite.order(order_id)
    assert (row["status"], row["cancelled_quantity"], row["pending_quantity"]) == ("CANCELLED", 20, 20)
    code, _, words = kite.refused("DELETE", f"/orders/regular/{order_id}")
    assert (code, words) == (400, "Order cannot be cancelled as it is CANCELLED already.")


@pytest.mark.parametrize(
    ("variety", "words"),
    [("amo", "The order's variety is regular"), ("co", "not supported"), ("x", "Invalid `variety`")],
)
def test_an_order_is_reached_by_its_own_variety(kite: Client, variety: str, words: str) -> None:
    order_id = kite.place()
    assert words in kite.refused("DELETE", f"/orders/{variety}/{order_id}")[2]
    assert kite.order(order_id)["status"] == "OPEN"


@pytest.mark.parametrize(
    ("form", "code", "error"),
    [
        ({"quantity": "0"}, 400, "InputException"),
        ({"price": ""}, 400, "InputException"),
        ({"tradingsymbol": "NIFTY 50"}, 400, "InputException"),
        ({"quantity": "100000"}, 400, "MarginException"),
        ({"order_type": "MARKET"}, 400, "InputException"),
        ({"validity": "TTL"}, 400, "InputException"),
    ],
)
def test_what_the_door_refuses_is_nowhere(kite: Client, form: dict[str, str], code: int, error: str) -> None:
    before = kite.data("GET", "/user/margins/equity")
    assert kite.refused("POST", "/orders/regular", FORM | form)[:2] == (code, error)
    assert kite.data("GET", "/orders") == []
    assert kite.data("GET", "/user/margins/equity") == before


def test_a_large_order_is_sliced_when_asked_and_every_slice_stands_alone(kite: Client, engine: Engine) -> None:
    freeze = engine.services.market.catalogue.by_key["NSE:SBIN"].freeze_quantity
    account = engine.services.accounts["PX0001"]
    account.cash = account.opening_cash = (freeze * 2 + 10) * 96_000  # not enough for a third slice and more
    answer = kite.data("POST", "/orders/regular", FORM | {"quantity": str(freeze * 3), "autoslice": "true"})
    taken = [child["order_id"] for child in answer["children"] if "order_id" in child]
    [refused] = [child["error"] for child in answer["children"] if "error" in child]
    assert (len(taken), refused["error_type"]) == (2, "MarginException")
    rows = [kite.order(order_id) for order_id in taken]
    assert {row["quantity"] for row in rows} == {freeze}
    assert {tuple(row["tags"]) for row in rows} == {("autoslice", f"autoslice:{answer['order_id']}")}
    assert answer["order_id"] not in taken


def test_no_more_than_ten_slices(kite: Client, engine: Engine) -> None:
    freeze = engine.services.market.catalogue.by_key["NSE:SBIN"].freeze_quantity
    form = FORM | {"quantity": str(freeze * 10 + 1), "autoslice": "true"}
    assert "at most 10 orders; 11 would be needed" in kite.refused("POST", "/orders/regular", form)[2]
    assert kite.data("GET", "/orders") == []


def test_an_iceberg_counts_as_all_its_legs(kite: Client, engine: Engine) -> None:
    limits = engine.services.limits
    limits.enabled, limits.orders_per_second, limits.orders_per_day, limits.others_per_second = True, 0, 6, 0
    kite.place("iceberg", iceberg_legs="5")
    kite.place()
    assert kite.refused("POST", "/orders/regular", FORM)[0] == 429


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nowhere", 404), ("POST", "/trades", 405), ("DELETE", "/orders/regular", 405)]
)
def test_what_no_route_matches_is_told_in_the_envelope(kite: Client, method: str, path: str, code: int) -> None:
    assert kite.refused(method, path)[:2] == (code, "GeneralException")


@pytest.mark.parametrize("body", [b"\xff\xfe", b"quantity=\xff"])
def test_a_body_that_is_no_form_is_refused(kite: Client, body: Any) -> None:
    headers = {"Authorization": f"token paper:{kite.token}", "Content-Type": "application/x-www-form-urlencoded"}
    answer = kite.door.post("/orders/regular", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (400, "InputException")
