"""Counts and rupees over many orders, against adding them up by hand."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from oms.lib.clock import ist_date, now
from orders.models import Order
from orders.reading.statistics import daily_statistics_of, statistics_of
from orders.states import PUBLIC_STATUS, PublicStatus, State
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus, Refused, Side, Unconfirmed

TODAY = now()
YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def orders(account: Any, other_account: Any, sbin: Any) -> list[Order]:
    """Of each way to end one or more, of two days and two accounts."""
    bought, sold, part = (
        send(place()),
        send(place(side=Side.SELL, price=D(990), product="MIS")),
        send(place(quantity=D(20))),
    )
    see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10, 999)])
    see(sold, BrokerStatus.COMPLETE, [trade(sold, 2, 10, 991)])
    see(part, BrokerStatus.CANCELLED, [trade(part, 3, 5, 998)])
    lapsed, refused = send(place()), send(place(), Refused("RMS", "not today"))
    see(lapsed, BrokerStatus.LAPSED)
    unknown = send(place(), Unconfirmed("time-out"))
    waiting = place(account="OTHER")
    old = [place(at=YESTERDAY, price=D(5000)), place(at=YESTERDAY, quantity=D(10**5))]
    return [fresh(order) for order in (bought, sold, part, lapsed, refused, unknown, waiting, *old)]


def test_every_order_is_counted_once_and_every_status_is_there(orders: list[Order]) -> None:
    found = statistics_of(Order.objects.all())
    assert found.total == len(orders)
    by_hand = Counter(PUBLIC_STATUS[State(order.state)] for order in orders)
    assert found.by_status == {status: by_hand.get(PublicStatus(status), 0) for status in PublicStatus.values}
    assert {status for status, count in found.by_status.items() if count} == {
        "FILLED", "CANCELED", "EXPIRED", "REJECTED", "PENDING",
    }  # fmt: skip


def test_rupees_are_those_executed_whatever_became_of_the_rest(orders: list[Order]) -> None:
    figures = statistics_of(Order.objects.all()).figures
    assert (figures["buy_notional"], figures["sell_notional"]) == (10 * 999 + 5 * 998, 10 * 991)
    assert figures["charges"] == sum(order.charges for order in orders) > 0


def test_refusals_are_counted_by_their_code(orders: list[Order]) -> None:
    by_hand = Counter(order.rejection_code for order in orders if order.rejection_code)
    assert statistics_of(Order.objects.all()).rejections == by_hand
    assert {"PRICE_BAND", "INSUFFICIENT_CAPITAL"} <= by_hand.keys()


def test_of_no_orders_all_is_nought() -> None:
    found = statistics_of(Order.objects.none())
    assert (found.total, set(found.by_status.values()), found.rejections) == (0, {0}, {})
    assert set(found.figures.values()) == {0}


def test_days_and_accounts_add_up_to_the_whole(orders: list[Order]) -> None:
    rows = list(daily_statistics_of(Order.objects.all()))
    whole = statistics_of(Order.objects.all())
    assert [(row["trade_date"], row["account_code"], row["total"]) for row in rows] == [
        (ist_date(TODAY), "DEMO", 6), (ist_date(TODAY), "OTHER", 1), (ist_date(YESTERDAY), "DEMO", 2),
    ]  # fmt: skip
    for name, status in (
        ("filled", "FILLED"), ("canceled", "CANCELED"), ("rejected", "REJECTED"), ("expired", "EXPIRED"),
    ):  # fmt: skip
        assert sum(row[name] for row in rows) == whole.by_status[status]
    for name, amount in whole.figures.items():
        assert sum(row[name] for row in rows) == amount


def test_an_order_that_was_lost_counts_as_rejected() -> None:
    """As the contract's coarse status has it; its own state tells the difference."""
    assert PUBLIC_STATUS[State.LOST] == PublicStatus.REJECTED
