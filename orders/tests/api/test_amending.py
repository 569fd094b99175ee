"""Changing and cancelling orders over HTTP: versions, roles, and what the answer shows."""

from collections.abc import Callable
from typing import Any

import pytest

from compliance.models import KillSwitch
from ledger.models import CapitalAccount
from oms.lib import clock
from oms.tests.api_cast import ORDERS, Cast, Client, fill, limit_buy
from orders.models import Order

Placed = dict[str, Any]


def test_an_order_that_has_not_left_takes_new_terms_at_once(as_trader: Client, placed: Placed) -> None:
    answer = as_trader.send("PUT", f"{ORDERS}/{placed['id']}", {"action": "MODIFY", "price": "999.90", "quantity": 5})
    document = answer.json()
    assert answer.status_code == 200
    assert (document["price"], document["quantity"]) == (999.9, 5)
    assert document["version"] > placed["version"]
    assert answer["ETag"] == f'"{document["version"]}"'


def test_a_working_order_shows_what_was_asked_until_the_broker_decides(
    cast: Cast, as_trader: Client, placed: Placed
) -> None:
    fill(placed["id"], (4, "999.90"))
    answer = as_trader.send(
        "PUT", f"{ORDERS}/{placed['id']}", {"action": "MODIFY", "price": "999.90", "notes": "nearer"}
    )
    document = answer.json()
    assert document["price"] == 999.95
    [asked] = document["pendingAmendments"]
    assert (asked["kind"], asked["state"], asked["price"], asked["reason"]) == ("MODIFY", "QUEUED", 999.9, "nearer")

    again = as_trader.send("PUT", f"{ORDERS}/{placed['id']}", {"action": "MODIFY", "price": "999.85"})
    assert again.status_code == 409


@pytest.mark.parametrize("path", ["/cancel", ""])
def test_cancelling(cast: Cast, as_trader: Client, placed: Placed, path: str) -> None:
    body = {"notes": "changed my mind"} if path else {"action": "CANCEL", "notes": "changed my mind"}
    document = as_trader.send("PUT", f"{ORDERS}/{placed['id']}{path}", body).json()
    assert (document["status"], document["state"]) == ("CANCELED", "CANCELED")
    assert "endedAt" in document
    portfolio = CapitalAccount.objects.get(pk=cast.portfolio.pk)
    assert portfolio.reserved == 0
    again = as_trader.send("PUT", f"{ORDERS}/{placed['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "order_ended")


def test_a_cancellation_passes_a_kill_switch(cast: Cast, as_trader: Client, placed: Placed) -> None:
    KillSwitch.objects.create(scope="HOUSE", mode="HALTED", reason="drill", changed_at=clock.now())
    assert as_trader.send("PUT", f"{ORDERS}/{placed['id']}/cancel").status_code == 200


@pytest.mark.parametrize(
    ("if_match", "status"),
    [('"1"', 200), ("*", 200), ("", 200), ('"2"', 412), ('W/"1"', 412), ("1", 400), ('"1", "2"', 400), ('"x"', 400)],
)
def test_if_match(as_trader: Client, placed: Placed, if_match: str, status: int) -> None:
    assert placed["version"] == 1
    answer = as_trader.send("PUT", f"{ORDERS}/{placed['id']}/cancel", if_match=if_match)
    assert answer.status_code == status
    assert Order.objects.get().state == ("CANCELED" if status == 200 else "CREATED")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({}, "/action"),
        ({"action": "DELETE"}, "/action"),
        ({"action": "MODIFY"}, ""),
        ({"action": "CANCEL", "price": 1}, "/price"),
        ({"action": "MODIFY", "price": 0}, "/price"),
        ({"action": "MODIFY", "side": "SELL"}, "/side"),
        ({"action": "MODIFY", "timeInForce": "GTC"}, "/timeInForce"),
        ({"action": "MODIFY", "disclosedQuantity": -1}, "/disclosedQuantity"),
    ],
)
def test_a_malformed_change_names_the_field(as_trader: Client, placed: Placed, change: Any, pointer: str) -> None:
    answer = as_trader.send("PUT", f"{ORDERS}/{placed['id']}", change)
    assert answer.status_code == 400
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    assert Order.objects.get().version == 1


def test_a_change_that_a_rule_refuses_leaves_the_order_alone(as_trader: Client, placed: Placed) -> None:
    answer = as_trader.send("PUT", f"{ORDERS}/{placed['id']}", {"action": "MODIFY", "quantity": 100_000_000})
    assert answer.status_code == 422
    assert Order.objects.get().version == 1


def test_cancel_all_ends_what_works_and_tells_each_result(cast: Cast, as_trader: Client) -> None:
    ids = [as_trader.send("POST", ORDERS, limit_buy(quantity=n)).json()["id"] for n in (1, 2, 3)]
    fill(ids[0], (1, "999.95"))  # claims and sends all three; the first is complete
    newest = as_trader.send("POST", ORDERS, limit_buy(quantity=4)).json()["id"]

    results = as_trader.send("POST", f"{ORDERS}/cancel-all", {"notes": "going home"}).json()["results"]

    assert [(r["orderId"], r["outcome"]) for r in results] == [
        (newest, "CANCELED"), (ids[2], "REQUESTED"), (ids[1], "REQUESTED"),
    ]  # fmt: skip


def test_cancel_all_can_be_narrowed(as_trader: Client) -> None:
    one = as_trader.send("POST", ORDERS, limit_buy(strategyId="a")).json()["id"]
    as_trader.send("POST", ORDERS, limit_buy(strategyId="b"))
    results = as_trader.send("POST", f"{ORDERS}/cancel-all", {"strategyId": "a", "side": "BUY"}).json()["results"]
    assert [r["orderId"] for r in results] == [one]
    assert as_trader.send("POST", f"{ORDERS}/cancel-all", {"symbol": "NSE:INFY"}).json()["results"] == []
    assert as_trader.send("POST", f"{ORDERS}/cancel-all", {"everything": True}).status_code == 400


def test_cancel_all_leaves_alone_what_one_may_only_view(client_for: Callable[[str], Client], placed: Placed) -> None:
    for name in ("viewer", "officer", "outsider"):
        assert client_for(name).send("POST", f"{ORDERS}/cancel-all", {}).json()["results"] == []
    assert client_for("operator").send("POST", f"{ORDERS}/cancel-all", {}).json()["results"][0]["outcome"] == "CANCELED"
