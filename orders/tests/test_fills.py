"""Executions in awkward order: inferred, replaced, inferred again; the same at the end whatever came first."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import IntegrityError, connection, transaction

from compliance.models import Alert
from ledger.models import CapitalEntry, Position
from ledger.positions import Holding
from ledger.selectors import trial_balance
from ledger.services.histories import replay
from orders.models import Execution
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(account, sbin):
    return send(place(quantity=D(10), price=D(1000)))


@pytest.fixture(autouse=True)
def _books_balance(db):
    yield
    assert trial_balance() == []
    for position in Position.objects.all():
        assert replay(position) == Holding(
            position.quantity, position.average_price, position.allocated, position.realised_pnl
        )


def counted():
    """The executions that stand, as (trade, units)."""
    rows = Execution.objects.filter(reverses=None, reversed_by=None).order_by("trade_id")
    return [(e.trade_id, int(e.quantity)) for e in rows]


def test_trades_that_trickle_in_behind_the_book(order):
    """The book is ahead twice, then each trade comes alone: what is still missing is inferred anew each time."""
    order = see(order, BrokerStatus.OPEN, filled=4, average=1000)
    order = see(order, BrokerStatus.OPEN, filled=6, average=1000)
    assert counted() == [("INF-1-0-4", 4), ("INF-2-4-6", 2)]
    real = [trade(order, n, 2) for n in (1, 2, 3)]
    for n in (1, 2, 3):
        order = see(order, BrokerStatus.OPEN, real[:n], filled=6, average=1000)
        assert (order.filled_quantity, order.filled_value) == (6, 6000)
        assert sum(units for _, units in counted()) == 6
    assert counted() == [("1", 2), ("2", 2), ("3", 2)]
    order = see(order, BrokerStatus.COMPLETE, [*real, trade(order, 4, 4)])
    assert order.state == "FILLED"
    assert Position.objects.get().quantity == 10


def test_an_inferred_price_explains_the_brokers_average(order):
    real = trade(order, 1, 4, 990)
    order = see(order, BrokerStatus.OPEN, [real])
    order = see(order, BrokerStatus.OPEN, [real], filled=10, average=D(993))
    inferred = Execution.objects.get(is_inferred=True)
    assert (inferred.quantity, inferred.price) == (6, 995)
    assert order.average_price == 993


def test_the_day_counts_each_unit_once(order):
    order = see(order, BrokerStatus.OPEN, filled=6, average=1000)
    see(order, BrokerStatus.OPEN, [trade(order, 1, 6, 999)])
    position = Position.objects.get()
    assert (position.day_buy_quantity, position.day_buy_value) == (6, 5994)


def test_one_trade_may_be_reported_twice_in_one_answer(order):
    twice = [trade(order, 1, 4), trade(order, 1, 4)]
    order = see(order, BrokerStatus.OPEN, twice, filled=4, average=1000)
    assert order.filled_quantity == 4


def test_a_number_counts_once_per_exchange_and_day(order):
    first = trade(order, 1, 2)
    others = [replace(first, exchange="BSE"), replace(first, trade_date=first.trade_date + timedelta(days=1))]
    order = see(order, BrokerStatus.OPEN, [first, *others])
    assert order.filled_quantity == 6


def test_a_stale_row_takes_nothing_back(order):
    order = see(order, BrokerStatus.OPEN, [trade(order, 1, 6)])
    entries = CapitalEntry.objects.count()
    order = see(order, BrokerStatus.OPEN, filled=3)
    assert (order.state, order.filled_quantity) == ("PARTIALLY_FILLED", 6)
    assert CapitalEntry.objects.count() == entries


def test_an_ending_is_final_whatever_it_counted_by_then(order):
    order = see(order, BrokerStatus.OPEN, [trade(order, 1, 6)])
    order = see(order, BrokerStatus.CANCELLED, filled=3)
    assert (order.state, order.filled_quantity) == ("CANCELED", 6)


def test_charges_end_where_the_whole_turnover_puts_them(order):
    """Inferred, reversed and booked again in parts: the charges are those of the order as a whole."""
    order = see(order, BrokerStatus.OPEN, filled=7, average=1000)
    order = see(order, BrokerStatus.COMPLETE, [trade(order, n, 2) for n in range(5)])
    charged = sum(
        entry.amount if entry.debit == "FREE" else -entry.amount
        for entry in CapitalEntry.objects.filter(order_id=order.pk, kind="CHARGE")
    )
    assert charged == order.charges == D("11.87")


def test_more_than_was_ordered_is_booked_all_the_same(order):
    """A fact from the market: the broker let more through, or somebody raised the quantity elsewhere."""
    order = see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10), trade(order, 2, 5)], quantity=D(15))
    assert order.filled_quantity == 15
    assert Position.objects.get().quantity == 15


def test_an_unknown_status_alarms_and_the_order_lives(order):
    order = see(order, BrokerStatus.UNHEARD_OF)
    assert order.state == "ACKED"
    assert "GONE FISHING" in Alert.objects.get(kind="UNKNOWN_STATUS").summary
    assert fresh(order).broker_status == "GONE FISHING"


@pytest.mark.parametrize("column", ["quantity", "filled_quantity", "price", "stop_price"])
def test_the_database_keeps_what_is_no_number_out_of_an_order(order, column):
    with pytest.raises(IntegrityError, match="order_no_nan"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE orders_order SET {column} = 'NaN', event_seq = event_seq + 1")  # noqa: S608


def test_an_execution_at_no_price_is_not_kept_whoever_reports_it(order):
    order = see(order, BrokerStatus.OPEN, [replace(trade(order, 1, 4), price=D("NaN"))], average=1000)
    assert (order.filled_quantity, order.executions.count()) == (0, 0)
    assert Alert.objects.get(kind="ROW_NOT_APPLIED").order_id == order.pk
