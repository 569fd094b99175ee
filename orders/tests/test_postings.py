"""What a change of an order means for the ledger, posting by posting, and that each is on the order's record."""

import json
from contextlib import contextmanager
from decimal import Decimal as D

import pytest
from django.db import transaction

from compliance.models import Alert
from compliance.selectors import order_events
from ledger.models import CapitalEntry
from ledger.selectors import open_reservations, trial_balance
from ledger.services.books import InsufficientCapital
from ledger.services.holdings import HeldBefore, open_holdings
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.services import postings
from orders.services.desk import Desk
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus, Side, Unconfirmed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


@contextmanager
def desk_on(order):
    """A desk on one order, and the order as it is there."""
    with transaction.atomic():
        desk = Desk.open([order.pk], actor=SYSTEM, at=now())
        yield desk, desk.orders[order.pk]
        desk.write()


def said(order):
    """The last event of the order: its type, and the data that a report has of it."""
    event = order_events(order.pk).last()
    return event.event_type, json.loads(bytes(event.c14n))["data"]


def held(order):
    return open_reservations([order.pk]).get(order.pk, D(0))


class TestReserving:
    def test_more_than_is_free_is_refused_and_changes_nothing(self, portfolio):
        order = place()
        before = held(order)
        with desk_on(order) as (desk, subject), pytest.raises(InsufficientCapital):
            postings.reserve(desk, subject, desk.reservations[order.pk], D(10_000_000), D(0))
        assert held(order) == before
        assert said(order)[0] == "CAPITAL_RESERVED", "that of its placement"

    def test_what_the_broker_says_is_reserved_even_into_overdraft(self, portfolio):
        order = place()
        with desk_on(order) as (desk, subject):
            desk.revise(subject)
            postings.reserve(desk, subject, desk.reservations[order.pk], D(10_000_000), D(0), forced=True)
        portfolio.refresh_from_db()
        assert portfolio.free < 0
        assert held(order) > D(10_000_000)
        assert Alert.objects.get().kind == "OVERDRAFT"
        assert said(order)[1]["free"] == f"{portfolio.free:f}"


class TestReleasing:
    @pytest.mark.parametrize(("failed", "name"), [(False, "CAPITAL_RELEASED"), (True, "CAPITAL_FAILED")])
    def test_gives_all_back_and_says_so_once(self, portfolio, failed, name):
        order = place()
        amount = held(order)
        with desk_on(order) as (desk, subject):
            postings.release(desk, subject, failed=failed)
            postings.release(desk, subject, failed=failed)
        portfolio.refresh_from_db()
        assert (held(order), portfolio.free, portfolio.reserved) == (0, 1_000_000, 0)
        type, data = said(order)
        assert (type, D(data["amount"]), D(data["free"]), D(data["reserved"])) == (name, amount, 1_000_000, 0)
        assert [e.event_type for e in order_events(order.pk)].count(name) == 1

    def test_gives_back_promised_units(self, portfolio):
        open_holdings("DEMO", [HeldBefore("NSE", "SBIN", D(10), D(900))], actor=SYSTEM, at=now())
        order = place(side=Side.SELL)
        with desk_on(order) as (desk, subject):
            postings.release(desk, subject)
        position = portfolio.positions.get()
        assert (position.quantity, position.reserved_units, fresh(order).reserved_units) == (10, 0, 0)
        assert said(order)[1]["units"] == "10"

    def test_of_what_was_never_held_is_nothing(self, portfolio):
        order = place(quantity=D(10_000_000))
        recorded = order.event_seq
        with desk_on(order) as (desk, subject):
            postings.release(desk, subject)
        assert fresh(order).event_seq == recorded
        assert not CapitalEntry.objects.filter(order_id=order.pk).exists()


class TestLowering:
    @pytest.mark.parametrize(("amount", "given_back"), [(D(1000), D(1000)), (D(10_000_000), None), (D(-5), D(0))])
    def test_gives_back_no_more_than_is_held_and_never_less_than_nothing(self, amount, given_back):
        order = place()
        before = held(order)
        with desk_on(order) as (desk, subject):
            postings.lower(desk, subject, amount, f"{order.pk}:LOWER:test")
        assert held(order) == before - (before if given_back is None else given_back)

    def test_gives_back_units_beyond_what_is_left_to_execute(self, portfolio):
        open_holdings("DEMO", [HeldBefore("NSE", "SBIN", D(10), D(900))], actor=SYSTEM, at=now())
        order = place(side=Side.SELL)
        with desk_on(order) as (desk, subject):
            subject.quantity = D(4)
            postings.lower(desk, subject, D(0), f"{order.pk}:LOWER:test")
        assert (fresh(order).reserved_units, portfolio.positions.get().reserved_units) == (4, 4)


class TestReservingAgain:
    def test_is_for_what_is_left_to_execute(self, portfolio):
        order, twin = place(), place()
        with desk_on(order) as (desk, subject):
            postings.release(desk, subject, failed=True)
            desk.revise(subject)
        with desk_on(order) as (desk, subject):
            postings.reserve_again(desk, subject)
        assert held(order) == held(twin)
        assert sorted(CapitalEntry.objects.filter(order_id=order.pk).values_list("kind", "status")) == [
            ("FAIL", "COMMITTED"), ("RESERVE", "FAILED"), ("RESERVE", "PENDING"),
        ]  # fmt: skip

    def test_promises_again_the_units_that_are_still_free(self, portfolio):
        open_holdings("DEMO", [HeldBefore("NSE", "SBIN", D(10), D(900))], actor=SYSTEM, at=now())
        order = place(side=Side.SELL)
        with desk_on(order) as (desk, subject):
            postings.release(desk, subject, failed=True)
            desk.revise(subject)
        with desk_on(order) as (desk, subject):
            postings.reserve_again(desk, subject)
        assert fresh(order).reserved_units == portfolio.positions.get().reserved_units == 10


class TestExecutions:
    def test_charges_are_those_of_the_whole_turnover_however_it_was_cut(self, portfolio):
        whole, cut = send(place(quantity=D(9))), send(place(quantity=D(9)))
        see(whole, BrokerStatus.COMPLETE, [trade(whole, 1, 9)])
        see(cut, BrokerStatus.COMPLETE, [trade(cut, n, 1) for n in range(9)])
        assert fresh(cut).charges == fresh(whole).charges > 0

    def test_each_is_on_record_with_what_it_moved(self, portfolio):
        order = send(place())
        see(order, BrokerStatus.OPEN, [trade(order, 1, 4, 990)])
        data = next(
            json.loads(bytes(event.c14n))["data"]
            for event in order_events(order.pk)
            if event.event_type == "CAPITAL_ALLOCATED"
        )
        portfolio.refresh_from_db()
        assert D(data["amount"]) == portfolio.allocated == 3960
        assert (D(data["free"]), D(data["reserved"])) == (portfolio.free, portfolio.reserved)
        assert D(data["charges"]) == fresh(order).charges

    def test_in_doubt_an_order_still_holds_all(self):
        order = place()
        before = held(order)
        send(order, Unconfirmed("timed out"))
        assert held(order) == before > 0
