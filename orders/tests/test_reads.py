"""What the life of one order reads does not depend on what the planner believed when its plans were made."""

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
from orders.services.placement import Intent, place_orders
from orders.services.submission import answer_place, claim_orders
from orders.tests.factories import TRADER, broker_id, request_for, see, trade
from orders.types import Accepted, BrokerStatus

TABLES = (Order, Execution, Amendment, BrokerMessage, CapitalAccount, CapitalEntry, AssetTransaction)
WAITING = 2_000
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
    intents = [Intent(request_for(quantity=D(1 + n % 5)), TRADER) for n in range(count)]
    return [placement.order for placement in place_orders(intents, at=at or now())]


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
    waiting = [placed(500, at=now() - EARLIER) for _ in range(WAITING // 500)]
    oldest = min(waiting[0], key=lambda order: order.id)
    assert rows_read(TABLES, placed) < 50
    assert rows_read(TABLES, lambda: sent_and_filled(oldest, PLANNED)) < 200
