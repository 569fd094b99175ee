"""What is read of orders beside what the ledger holds: projected positions, and the instruments whose prices matter."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from ledger.selectors import held_units
from oms.lib.clock import now
from oms.lib.db import read_all
from orders.models import BrokerAccount, Routing
from orders.selectors import (
    due_polls,
    instruments_in_use,
    projected_positions,
    waiting_for,
    with_work_waiting,
    working_units,
)
from orders.services.amendments.asking import request_cancel
from orders.tests.factories import TRADER, place, see, send, trade
from orders.types import BrokerStatus, Refused, Side

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


class TestDuePolls:
    """The book is read every second while there is anything to see, and else every five."""

    @pytest.fixture
    def polled(self, broker_account, portfolio, sbin):
        BrokerAccount.objects.update(session_state="OPEN", polled_at=now() - timedelta(seconds=1), poll_message="")
        return broker_account

    def test_not_while_nothing_is_live_and_it_was_read_a_moment_ago(self, polled):
        assert due_polls(at=now()) == []
        assert due_polls(at=now() + timedelta(seconds=4)) == [polled.pk]

    def test_at_once_while_an_order_is_live(self, polled):
        order = place()
        assert due_polls(at=now()) == [polled.pk]
        send(order, Refused("X", "no"))
        assert due_polls(at=now()) == []

    @pytest.mark.parametrize("state", [{"poll_message": "it failed"}, {"polled_at": None}])
    def test_at_once_when_the_last_one_failed_or_there_was_none(self, polled, state):
        BrokerAccount.objects.update(**state)
        assert due_polls(at=now()) == [polled.pk]

    def test_never_without_a_session(self, polled):
        place()
        BrokerAccount.objects.update(session_state="EXPIRED")
        assert due_polls(at=now()) == []


class TestWhatWaits:
    def test_an_order_waits_for_somebody_who_watches_and_a_cancel_does_not(self, broker_account, portfolio, sbin):
        BrokerAccount.objects.update(session_state="OPEN")
        assert not waiting_for(broker_account.pk, at=now()).anything
        first, _ = send(place()), place()
        request_cancel(first.pk, actor=TRADER, at=now(), user=None)
        both = waiting_for(broker_account.pk, at=now())
        assert (both.orders, both.amendments) == (True, True)
        BrokerAccount.objects.update(poll_message="it failed")
        blind = waiting_for(broker_account.pk, at=now())
        assert (blind.orders, blind.amendments) == (False, True)
        assert with_work_waiting(at=now()) == [broker_account.pk]
        BrokerAccount.objects.update(session_state="EXPIRED")
        assert not waiting_for(broker_account.pk, at=now()).anything
        assert with_work_waiting(at=now()) == []
