"""What the life of one order reads does not depend on what the planner believed when its plans were made."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from compliance.services.controls import set_limits
from ledger.models import AssetTransaction, CapitalAccount, CapitalEntry
from ledger.services.capital import deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.tests.reads import analyse, never_analysed, rows_read
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.services.observation import apply_book
from orders.services.resolution import count_misses, overdue_amendments, to_look_for
from orders.services.submission import answer_place, claim_orders
from orders.tasks import sweep
from orders.tests.factories import broker_id, place_list, request_for, row, see, trade
from orders.types import Accepted, BrokerStatus

TABLES = (Order, Execution, Amendment, BrokerMessage, CapitalAccount, CapitalEntry, AssetTransaction)
THOUSAND = 1_000
PLANNED = 12  # PostgreSQL settles on one plan at the sixth use
EARLIER = timedelta(minutes=5)  # not in the same second, whose orders are counted


@pytest.fixture
def db(committed_db):
    """Here transactions really commit."""


@pytest.fixture
def money(portfolio):
    for n in range(3):
        deposit(portfolio, D(10_000_000), key=f"money:{n}", reason="x", user=None, actor=SYSTEM, at=now())
    limits = {"max_orders_per_second": 1_000_000, "duplicate_window_seconds": 0}
    set_limits("HOUSE", values=limits, user=None, actor=SYSTEM, at=now(), reason="x")


def placed(count=1, *, at=None):
    requests = [request_for(quantity=D(1 + n % 5)) for n in range(count)]
    return [placement.order for placement in place_list(requests, at=at)]


def sent_and_filled(order, number):
    """The rest of the life of the order, which waits longest."""
    claim_orders(order.broker_account_id, limit=1, at=now())
    answer_place(order.id, Accepted(broker_id(order)), at=now())
    assert see(order, BrokerStatus.COMPLETE, [trade(order, number, order.quantity)]).state == "FILLED"


@pytest.mark.parametrize("analysed", ["never", "when empty", "when nearly empty"])
def test_the_life_of_an_order_reads_no_more_when_thousands_are_there(analysed, money, sbin):
    never_analysed(TABLES)
    if analysed == "when empty":
        analyse()
    for number in range(PLANNED):
        if analysed == "when nearly empty" and number == 3:
            analyse()
        sent_and_filled(*placed(at=now() - EARLIER), number)
    waiting = [placed(500, at=now() - EARLIER) for _ in range(THOUSAND // 500)]
    oldest = min(waiting[0], key=lambda order: order.id)
    assert rows_read(TABLES, placed) < 50
    assert rows_read(TABLES, lambda: sent_and_filled(oldest, PLANNED)) < 200


def over_and_done(count):
    """So many orders that the book shows filled."""
    orders = placed(count, at=now() - EARLIER)
    rows = [row(order, BrokerStatus.COMPLETE, filled=order.quantity) for order in orders]
    trades = [trade(order, 1, order.quantity) for order in orders]
    trades = [replace(t, trade_id=f"{t.broker_order_id}-1") for t in trades]
    assert len(apply_book(orders[0].broker_account_id, rows, trades, at=now())) == count


def nothing_happens(broker_account):
    """What runs every second whether or not anybody trades, but for reading the broker's book."""
    sweep(at=now())
    assert claim_orders(broker_account.pk, limit=10, at=now()) == []
    count_misses(broker_account.pk, (), begun_at=now(), at=now())
    to_look_for(broker_account.pk)
    overdue_amendments(broker_account.pk, at=now())


@pytest.mark.parametrize("analysed", ["never", "when empty", "when nearly empty"])
def test_an_idle_second_reads_no_more_when_thousands_are_over(analysed, broker_account, money, sbin):
    never_analysed(TABLES)
    if analysed == "when empty":
        analyse()
    for number in range(PLANNED):
        if analysed == "when nearly empty" and number == 3:
            analyse()
        over_and_done(1)
        nothing_happens(broker_account)
    for _ in range(THOUSAND // 500):
        over_and_done(500)
    nothing_happens(broker_account)  # the first second may still meet what the fills left behind
    assert rows_read(TABLES, lambda: nothing_happens(broker_account), entries=False) < 20
