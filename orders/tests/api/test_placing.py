"""POST /orders as a client sees it: what is accepted, what is refused and how that is told."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.settings import api_settings

from compliance.models import KillSwitch, Membership
from ledger.models import CapitalAccount
from oms.lib import clock
from oms.tests.api_cast import ORDERS, Cast, Client, limit_buy
from orders.models import Order


def test_an_accepted_order_is_durable_reserved_and_described(cast: Cast, as_trader: Client) -> None:
    answer = as_trader.send("POST", ORDERS, limit_buy(strategyId="momentum", notes="first", clientOrderId="c-1"))

    assert answer.status_code == 201
    order = Order.objects.get()
    document = answer.json()
    assert answer["Location"] == f"{ORDERS}/{order.pk}"
    assert answer["ETag"] == f'"{order.version}"'
    assert document["id"] == str(order.pk)
    assert (document["status"], document["state"]) == ("PENDING", "CREATED")
    assert (document["accountId"], document["portfolioId"]) == (cast.account.code, cast.portfolio.code)
    assert (document["strategyId"], document["notes"], document["clientOrderId"]) == ("momentum", "first", "c-1")
    assert document["executionReports"] == []
    assert "stopPrice" not in document  # absent means not set
    assert CapitalAccount.objects.get(pk=cast.portfolio.pk).reserved >= Decimal("9999.50")
    assert order.placed_by_id == cast.trader.pk


def test_numbers_keep_their_exact_text(as_trader: Client) -> None:
    text = json.dumps(limit_buy()).replace("999.95", "999.95000000000000")
    answer = as_trader.send("POST", ORDERS, text)
    assert answer.status_code == 201
    assert b'"price":999.95,' in answer.content


def test_numbers_may_come_as_text(as_trader: Client) -> None:
    answer = as_trader.send("POST", ORDERS, limit_buy(price="999.95", quantity="10"))
    assert answer.status_code == 201
    assert answer.json()["quantity"] == 10


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"quantity": 0}, "/quantity", "too_small"),
        ({"quantity": -5}, "/quantity", "too_small"),
        ({"quantity": 1.5}, "/quantity", "not_whole"),
        ({"quantity": True}, "/quantity", "invalid"),
        ({"quantity": None}, "/quantity", "null"),
        ({"quantity": "ten"}, "/quantity", "invalid"),
        ({"quantity": "1_0"}, "/quantity", "invalid"),
        ({"quantity": 10**40}, "/quantity", "too_large"),
        ({"price": "999.95001"}, "/price", "too_precise"),
        ({"side": "buy"}, "/side", "invalid_choice"),
        ({"accountId": 7}, "/accountId", "invalid"),
        ({"symbol": "SB\x00IN"}, "/symbol", "invalid"),
        ({"symbol": "XXXX:SBIN"}, "/symbol", "unknown_exchange"),
        ({"symbol": "NSE:SBIN", "exchange": "BSE"}, "/exchange", "contradiction"),
        ({"timeInForce": "GTC"}, "/timeInForce", "invalid_choice"),
        ({"timeInForce": "FOK"}, "/timeInForce", "invalid_choice"),
        ({"timeInForce": "TTL"}, "/validityMinutes", "required"),
        ({"validityMinutes": 5}, "/validityMinutes", "not_allowed"),
        ({"type": "MARKET"}, "/price", "not_allowed"),
        ({"type": "STOP_LIMIT"}, "/stopPrice", "required"),
        ({"stopPrice": 990}, "/stopPrice", "not_allowed"),
        ({"marketProtection": 2}, "/marketProtection", "not_allowed"),
        ({"variety": "iceberg"}, "/icebergLegs", "required"),
        ({"disclosedQuantity": 11}, "/disclosedQuantity", "out_of_range"),
        ({"clientOrderId": "a b"}, "/clientOrderId", "invalid"),
        ({"colour": "blue"}, "/colour", "unknown_field"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown_field"),
    ],
)
def test_a_malformed_field_is_named_and_nothing_is_stored(
    as_trader: Client, changes: dict[str, Any], pointer: str, code: str
) -> None:
    answer = as_trader.send("POST", ORDERS, limit_buy(**changes))

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert (pointer, code) in {(e["pointer"], e["code"]) for e in answer.json()["errors"]}
    assert not Order.objects.exists()


def test_all_wrong_fields_are_told_at_once(as_trader: Client) -> None:
    answer = as_trader.send("POST", ORDERS, {"side": "UP", "quantity": -1, "nonsense": 1})

    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert sorted(pointers) == ["/accountId", "/nonsense", "/quantity", "/side", "/symbol", "/type"]


@pytest.mark.parametrize("number", ["1e400", "1e999999999999999999", "9" * 5000, "-1e400"])
def test_absurd_numbers_are_refused_with_their_pointer(as_trader: Client, number: str) -> None:
    answer = as_trader.send("POST", ORDERS, json.dumps(limit_buy(price="@")).replace('"@"', number))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/price"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"side": "BUY",\n "type": }', "line 2 column 10"),
        ('{"side": "BUY", "side": "SELL"}', "'side' occurs twice"),
        ('{"price": NaN}', "NaN is not a JSON number"),
        ('{"price": -Infinity}', "-Infinity is not a JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("{} trailing", "line 1 column 4"),
    ],
)
def test_malformed_json_is_told_with_its_place(as_trader: Client, text: str, said: str) -> None:
    answer = as_trader.send("POST", ORDERS, text)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")
    assert said in answer.json()["detail"]


def test_bytes_that_are_not_utf8_are_refused(as_trader: Client) -> None:
    answer = as_trader.generic("POST", ORDERS, b'{"notes": "\xff"}', content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


def test_other_media_and_methods_and_sizes_are_problems_too(as_trader: Client) -> None:
    form = as_trader.generic("POST", ORDERS, "side=BUY", content_type="application/x-www-form-urlencoded")
    xml = as_trader.get(ORDERS, HTTP_ACCEPT="application/xml")
    method = as_trader.send("PATCH", ORDERS, {})
    large = as_trader.send("POST", ORDERS, '{"notes": "' + "x" * 600_000 + '"}')

    for answer, status in ((form, 415), (xml, 406), (method, 405), (large, 413)):
        assert answer.status_code == status
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status
    assert "POST" in method["Allow"]


def test_a_refused_order_is_stored_and_named(cast: Cast, as_trader: Client) -> None:
    answer = as_trader.send("POST", ORDERS, limit_buy(quantity=100_000))

    problem, order = answer.json(), Order.objects.get()
    assert answer.status_code == 422
    assert problem["orderId"] == str(order.pk)
    assert problem["code"] == order.rejection_code == "INSUFFICIENT_CAPITAL"
    assert problem["errors"][0]["pointer"] == "/quantity"
    document = as_trader.get(f"{ORDERS}/{order.pk}").json()
    assert (document["status"], document["rejectionCode"]) == ("REJECTED", "INSUFFICIENT_CAPITAL")
    assert document["rejectionReason"] == problem["detail"]
    assert CapitalAccount.objects.get(pk=cast.portfolio.pk).reserved == 0


def test_a_halted_account_takes_no_order(cast: Cast, as_trader: Client) -> None:
    KillSwitch.objects.create(
        scope="ACCOUNT", account=cast.account, mode="HALTED", reason="fat finger", changed_at=clock.now()
    )
    answer = as_trader.send("POST", ORDERS, limit_buy())
    assert (answer.status_code, answer.json()["code"]) == (422, "KILL_SWITCH")


def test_a_market_order_is_protected_unless_it_says_how(as_trader: Client) -> None:
    automatic = limit_buy(type="MARKET")
    del automatic["price"]
    assert as_trader.send("POST", ORDERS, automatic).json()["marketProtection"] == -1
    assert as_trader.send("POST", ORDERS, automatic | {"marketProtection": 2.5}).json()["marketProtection"] == 2.5


def test_who_may_place(cast: Cast, client_for: Callable[[str], Client]) -> None:
    statuses = {
        name: client_for(name).send("POST", ORDERS, limit_buy()).status_code
        for name in ("nobody", "trader", "viewer", "outsider", "operator", "officer")
    }
    assert statuses == {
        "nobody": 401, "trader": 201, "viewer": 403, "outsider": 404, "operator": 201, "officer": 403,
    }  # fmt: skip


def test_a_membership_that_ends_ends_trading(cast: Cast, as_trader: Client) -> None:
    Membership.objects.filter(user=cast.trader).delete()
    assert as_trader.send("POST", ORDERS, limit_buy()).status_code == 404


def test_another_portfolio_than_the_accounts_own_is_not_found(cast: Cast, as_trader: Client) -> None:
    answer = as_trader.send("POST", ORDERS, limit_buy(portfolioId="OTHER-1"))
    assert answer.status_code == 404
    assert not Order.objects.exists()


def test_every_problem_says_what_rfc_9457_asks(as_trader: Client) -> None:
    problem = as_trader.send("POST", ORDERS, {}).json()
    assert {"type", "title", "status", "detail", "instance", "code", "errors"} == problem.keys()
    assert problem["instance"] == ORDERS


def test_the_framework_reads_no_body_but_ours() -> None:
    """A parser that reads numbers as floats would sit beside ours unnoticed."""
    assert [parser.__name__ for parser in api_settings.DEFAULT_PARSER_CLASSES] == ["ExactJSONParser"]
