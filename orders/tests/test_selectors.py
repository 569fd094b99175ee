"""What is read of orders beside what the ledger holds: projected positions, and the instruments whose prices matter."""

from decimal import Decimal as D

import pytest

from ledger.selectors import held_units
from oms.lib.db import read_all
from orders.models import Routing
from orders.selectors import instruments_in_use, projected_positions, working_units
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus, Side

pytestmark = pytest.mark.django_db


def projected(account):
    return projected_positions(*read_all(held_units([account.pk]), working_units([account.pk])))


def hold(quantity, **given):
    order = send(place(quantity=quantity, **given))
    return see(order, BrokerStatus.COMPLETE, [trade(order, order.tag, quantity, 1000)])


class TestProjectedPositions:
    def test_nothing_of_an_account_that_did_nothing(self, account):
        assert projected(account) == {}

    def test_each_side_alone_is_worked_to_its_end(self, account, sbin):
        hold(D(10))
        place(quantity=D(5))
        place(quantity=D(3))
        place(quantity=D(4), side=Side.SELL)
        assert projected(account) == {(account.pk, sbin.pk, "BUY"): 18, (account.pk, sbin.pk, "SELL"): 6}

    def test_what_is_executed_counts_once(self, account, sbin):
        order = send(place(quantity=D(10)))
        see(order, BrokerStatus.OPEN, [trade(order, 1, 4)])
        assert projected(account) == {(account.pk, sbin.pk, "BUY"): 10, (account.pk, sbin.pk, "SELL"): 4}

    def test_products_are_one_position(self, account, sbin):
        hold(D(10))
        hold(D(7), product="MIS")
        assert projected(account)[account.pk, sbin.pk, "BUY"] == 17

    def test_a_working_order_without_a_position(self, account, sbin):
        place(quantity=D(5))
        assert projected(account) == {(account.pk, sbin.pk, "BUY"): 5}


class TestInstrumentsInUse:
    def test_worked_or_held_by_an_account_that_is_routed_there(self, broker_account, account, sbin):
        assert instruments_in_use(broker_account.pk) == []
        place()
        assert instruments_in_use(broker_account.pk) == [sbin.pk]
        Routing.objects.all().delete()
        assert instruments_in_use(broker_account.pk) == [sbin.pk]  # the order is still there

    def test_what_is_held_matters_and_what_was_sold_does_not(self, broker_account, account, sbin):
        hold(D(10))
        assert instruments_in_use(broker_account.pk) == [sbin.pk]
        hold(D(10), side=Side.SELL)
        assert instruments_in_use(broker_account.pk) == []
