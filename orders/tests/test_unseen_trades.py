"""Which trades of a book say something new: what every poll asks, of every trade of the day."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from compliance.models import Alert
from oms.lib.clock import now
from orders.models import Execution
from orders.selectors import orders_with_unseen_trades
from orders.services.observation import apply_book
from orders.tests.factories import place, row, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(account, sbin):
    return send(place(quantity=D(10), price=D(1000)))


def test_what_is_recorded_is_not_new(order):
    first = trade(order, 1, 4)
    assert orders_with_unseen_trades(order.broker_account_id, [first]) == {order.broker_order_id}
    see(order, BrokerStatus.OPEN, [first])
    assert orders_with_unseen_trades(order.broker_account_id, [first]) == set()
    assert orders_with_unseen_trades(order.broker_account_id, []) == set()


@pytest.mark.parametrize(
    "other",
    [
        {"trade_id": "2"}, {"exchange": "BSE"}, {"broker_order_id": "B-2"}, {"quantity": D(5)}, {"price": D(999)},
        {"trade_date": now().date() + timedelta(days=3)},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_trade_with_any_other_mark_is_new(order, other):
    first = trade(order, 1, 4)
    see(order, BrokerStatus.OPEN, [first])
    changed = replace(first, **other)
    assert orders_with_unseen_trades(order.broker_account_id, [first, changed]) == {changed.broker_order_id}


def test_the_trades_of_one_broker_are_not_anothers(order):
    first = trade(order, 1, 4)
    see(order, BrokerStatus.OPEN, [first])
    assert orders_with_unseen_trades(order.broker_account_id + 1, [first]) == {first.broker_order_id}


def test_a_trade_that_changed_alarms_once_however_often_the_book_is_read(order):
    first = trade(order, 1, 4)
    order = see(order, BrokerStatus.OPEN, [first])
    book, changed = [row(order, BrokerStatus.OPEN, filled=4)], [replace(first, price=D(990))]
    assert apply_book(order.broker_account_id, book, changed, at=now()) == {order.broker_order_id}
    for _ in range(3):
        assert apply_book(order.broker_account_id, book, changed, at=now()) == set()
    assert Alert.objects.get(kind="TRADE_CHANGED").count == 1
    assert Execution.objects.get().price == 1000
