"""Reading orders over HTTP: one, many, what happened to them, and how well they were executed."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.models import RiskLimit
from oms.lib import clock
from oms.tests.api_cast import ORDERS, Cast, Client, fill, limit_buy
from orders.models import Order

Placed = dict[str, Any]
AUDIT = "/api/v1/order-events/audit-trail"


@pytest.fixture
def unhurried(db: None) -> None:
    """No limit on orders per second."""
    RiskLimit.objects.create(scope="HOUSE", version=2, reason="test", created_at=clock.now())


@pytest.fixture
def many(as_trader: Client, unhurried: None) -> list[str]:
    return [as_trader.send("POST", ORDERS, limit_buy(quantity=n)).json()["id"] for n in range(1, 8)]


def test_pages_have_the_contracts_form(as_trader: Client, many: list[str]) -> None:
    page = as_trader.get(ORDERS, {"page": 1, "size": 3}).json()
    assert [order["id"] for order in page["content"]] == many[::-1][3:6]
    assert {name: page[name] for name in ("page", "size", "totalElements", "totalPages")} == {
        "page": 1, "size": 3, "totalElements": 7, "totalPages": 3,
    }  # fmt: skip
    assert as_trader.get(ORDERS, {"page": 9}).json()["content"] == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"size": 201}, "/size"),
        ({"size": 0}, "/size"),
        ({"page": -1}, "/page"),
        ({"page": "x"}, "/page"),
        ({"status": "DONE"}, "/status"),
        ({"fromDate": "yesterday"}, "/fromDate"),
        ({"fromDate": "2026-01-02T00:00:00Z", "toDate": "2026-01-01T00:00:00Z"}, "/toDate"),
        ({"statuss": "OPEN"}, "/statuss"),
        ({"symbol": "a'b"}, "/symbol"),
        ({"page": ["1", "2"]}, "/page"),
    ],
)
def test_a_wrong_query_is_named(as_trader: Client, query: dict[str, Any], pointer: str) -> None:
    answer = as_trader.get(ORDERS, query)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_each_filter_finds_what_it_names_and_nothing_else(cast: Cast, as_trader: Client) -> None:
    wanted = as_trader.send(
        "POST",
        ORDERS,
        limit_buy(side="BUY", strategyId="s1", clientOrderId="c1", type="STOP_LIMIT", stopPrice=990, price=1000),
    )
    assert wanted.status_code == 422  # a buy stop below the market: stored as rejected
    order_id = wanted.json()["orderId"]
    as_trader.send("POST", ORDERS, limit_buy(strategyId="s2", clientOrderId="c2"))
    soon, before = clock.now() + timedelta(hours=1), clock.now() - timedelta(hours=1)
    fits = {
        "status": "REJECTED", "type": "STOP_LIMIT", "strategyId": "s1", "clientOrderId": "c1",
    }  # fmt: skip
    for name, value in fits.items():
        found = as_trader.get(ORDERS, {name: value}).json()["content"]
        assert [order["id"] for order in found] == [order_id], name
    for query, count in (
        ({"accountId": cast.account.code}, 2),
        ({"accountId": cast.other_account.code}, 0),
        ({"symbol": "NSE:SBIN"}, 2),
        ({"symbol": "BSE:SBIN"}, 0),
        ({"side": "SELL"}, 0),
        ({"fromDate": before.isoformat(), "toDate": soon.isoformat()}, 2),
        ({"fromDate": soon.isoformat()}, 0),
        ({"toDate": before.isoformat()}, 0),
    ):
        assert as_trader.get(ORDERS, query).json()["totalElements"] == count, query


def test_an_unchanged_order_need_not_be_sent_again(as_trader: Client, placed: Placed) -> None:
    path = f"{ORDERS}/{placed['id']}"
    etag = as_trader.get(path)["ETag"]
    again = as_trader.get(path, HTTP_IF_NONE_MATCH=etag)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
    assert as_trader.get(path, HTTP_IF_NONE_MATCH='"99"').status_code == 200


def test_a_fill_shows_everywhere(cast: Cast, as_trader: Client, placed: Placed) -> None:
    fill(placed["id"], (4, "999.90"), (6, "999.95"))

    order = as_trader.get(f"{ORDERS}/{placed['id']}").json(parse_float=Decimal)
    assert (order["status"], order["filledQuantity"], order["remainingQuantity"]) == ("FILLED", 10, 0)
    assert order["averageExecutionPrice"] == Decimal("999.93")
    assert [(e["quantity"], e["price"], e["venue"]) for e in order["executionReports"]] == [
        (4, Decimal("999.9"), "NSE"), (6, Decimal("999.95"), "NSE"),
    ]  # fmt: skip
    assert order["charges"] == sum(e["fees"] for e in order["executionReports"])

    status = as_trader.get(f"{ORDERS}/{placed['id']}/status").json()
    assert (status["status"], status["filledQuantity"]) == ("FILLED", 10)

    listed = as_trader.get(f"{ORDERS}/{placed['id']}/executions").json()["content"]
    assert [e["id"] for e in listed] == [e["id"] for e in order["executionReports"]]


def test_the_execution_report_measures_against_the_price_at_arrival(
    cast: Cast, as_trader: Client, placed: Placed
) -> None:
    fill(placed["id"], (4, "999.90"), (6, "999.95"))
    report = as_trader.get(f"{ORDERS}/{placed['id']}/execution-report").json(parse_float=Decimal)

    assert (report["fills"], report["filledQuantity"], report["value"]) == (2, 10, Decimal("9999.3"))
    assert report["averagePrice"] == Decimal("999.93")
    # Arrived at 1000.05 and bought at 999.93: twelve paise a share better, 1.2 basis points.
    assert report["slippage"] == {
        "arrivalPrice": Decimal("1000.05"),
        "perUnit": Decimal("-0.12"),
        "amount": Decimal("-1.2"),
        "basisPoints": Decimal("-1.2"),
    }
    assert report["charges"] > 0
    assert report["firstFillAt"] <= report["lastFillAt"] <= report["completedAt"]


def test_an_order_without_fills_has_an_empty_report(as_trader: Client, placed: Placed) -> None:
    report = as_trader.get(f"{ORDERS}/{placed['id']}/execution-report").json()
    assert (report["fills"], report["value"], report["executions"]) == (0, 0, [])
    assert not {"averagePrice", "slippage", "firstFillAt", "completedAt"} & report.keys()


def _walk(client: Client, path: str, limit: int) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        part = client.get(path, {"limit": limit, **cursor}).json()
        assert len(part["content"]) <= limit
        yield from part["content"]
        if "nextCursor" not in part:
            return
        cursor = {"cursor": part["nextCursor"]}


def test_the_history_is_walked_by_cursor_without_gap_or_repeat(cast: Cast, as_trader: Client, placed: Placed) -> None:
    fill(placed["id"], (4, "999.90"), (6, "999.95"))
    path = f"{ORDERS}/{placed['id']}/history"
    walked = list(_walk(as_trader, path, 2))
    assert [event["seq"] for event in walked] == list(range(1, len(walked) + 1))
    assert walked == as_trader.get(path).json()["content"]
    assert (walked[0]["eventType"], walked[0]["category"]) == ("ORDER_CREATED", "ORDER_CREATED")
    assert walked[0]["actor"] == {"type": "TRADER", "id": str(cast.trader.pk), "channel": "API"}


@pytest.mark.parametrize("cursor", ["x", "!!!!", "bnVsbA", "dHJ1ZQ", "e30", "WzFd", "IicgT1IgMT0xIg"])
def test_a_cursor_of_somewhere_else_is_refused(as_trader: Client, placed: Placed, cursor: str) -> None:
    for part in ("history", "executions"):
        answer = as_trader.get(f"{ORDERS}/{placed['id']}/{part}", {"cursor": cursor})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/cursor"


def test_anybody_can_recompute_the_audit_trail(cast: Cast, as_trader: Client, placed: Placed) -> None:
    fill(placed["id"], (10, "999.90"))
    trail = as_trader.get(f"{AUDIT}/{placed['id']}").json()

    previous = bytes(32)
    for seq, event in enumerate(trail["events"], start=1):
        c14n = event["c14n"].encode()
        assert event["prevHash"] == previous.hex()
        assert event["hash"] == hashlib.sha256(b"\x00" + previous + c14n).hexdigest()
        said = json.loads(c14n)
        assert (said["seq"], said["type"], said["data"]) == (seq, event["eventType"], event["data"])
        previous = bytes.fromhex(event["hash"])
    assert trail["verification"] == {
        "ok": True, "count": len(trail["events"]), "message": trail["verification"]["message"],
    }  # fmt: skip
    assert bytes(Order.objects.get(pk=placed["id"]).event_hash) == previous
    assert trail["events"][0]["sessionId"]


def test_a_cut_tail_is_noticed(cast: Cast, as_trader: Client, placed: Placed) -> None:
    Order.objects.filter(pk=placed["id"]).update(event_hash=b"\x01" * 32)
    verification = as_trader.get(f"{AUDIT}/{placed['id']}").json()["verification"]
    assert verification["ok"] is False
    assert verification["firstWrongSeq"] == verification["count"] + 1


def test_statistics(cast: Cast, as_trader: Client) -> None:
    first = as_trader.send("POST", ORDERS, limit_buy()).json()["id"]
    fill(first, (10, "999.90"))
    as_trader.send("POST", ORDERS, limit_buy(quantity=1_000_000))

    figures = as_trader.get(f"{ORDERS}/statistics").json()
    assert figures["totalOrders"] == 2
    assert (figures["byStatus"]["FILLED"], figures["byStatus"]["REJECTED"]) == (1, 1)
    assert (figures["buyNotional"], figures["sellNotional"]) == (9999, 0)
    assert (figures["fillRate"], figures["rejectRate"]) == (0.5, 0.5)
    assert sum(figures["rejections"].values()) == 1
    [day] = as_trader.get(f"{ORDERS}/daily-statistics").json()["content"]
    assert (day["accountId"], day["totalOrders"], day["filledOrders"], day["rejectedOrders"]) == (
        cast.account.code, 2, 1, 1,
    )  # fmt: skip
    assert day["tradeDate"] == clock.ist_date(clock.now()).isoformat()
    assert as_trader.get(f"{ORDERS}/statistics", {"side": "SELL"}).json()["totalOrders"] == 0


def test_a_list_costs_the_same_number_of_queries_however_long(cast: Cast, as_trader: Client, unhurried: None) -> None:
    def queries(size: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert len(as_trader.get(ORDERS, {"size": size}).json()["content"]) == size
        return len(captured)

    for n in range(6):
        fill(as_trader.send("POST", ORDERS, limit_buy(quantity=n + 1)).json()["id"], (1, "999.90"))
    assert queries(2) == queries(6) <= 5  # who asks, how many, the page, its executions, its amendments


def test_placing_costs_a_fixed_number_of_queries(as_trader: Client) -> None:
    as_trader.send("POST", ORDERS, limit_buy())
    with CaptureQueriesContext(connection) as captured:
        assert as_trader.send("POST", ORDERS, limit_buy()).status_code == 201
    statements = [query["sql"] for query in captured if "SAVEPOINT" not in query["sql"]]
    assert len(statements) <= 20, "\n".join(statements)
