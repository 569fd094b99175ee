"""Asking for a change: who may, what of it is refused before anything is judged, and what is written at once."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.selectors import order_events
from compliance.services.controls import set_limits
from ledger.selectors import open_reservations, trial_balance
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Conflict, DomainError, Forbidden, NotFound, Stale
from oms.lib.ids import new_id
from orders.models import Amendment, BrokerAccount, Order
from orders.services.amendments.asking import request_cancel, request_cancels, request_modify
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.services.submission import claim_orders
from orders.tests.factories import (
    TRADER,
    fresh,
    place,
    place_list,
    request_for,
    row,
    see,
    send,
    stored,
    trade,
    working,
)
from orders.types import Accepted, BrokerStatus, Modification, Unconfirmed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
    yield
    assert trial_balance() == []


@pytest.fixture
def order(account, sbin) -> Order:
    return see(send(place()), BrokerStatus.OPEN)


def modify(order, *, user=None, version=None, **terms):
    changes = Modification(**terms)
    return request_modify(
        order.pk, changes, actor=TRADER, at=now(), user=user, expected_version=version, reason="nearer"
    )


def cancel(order, *, user=None, version=None):
    return request_cancel(order.pk, actor=TRADER, at=now(), user=user, expected_version=version, reason="enough")


def events(order) -> list[str]:
    return [event.event_type for event in order_events(order.pk)]


def refusal(ask) -> str:
    with pytest.raises(DomainError) as caught:
        ask()
    return caught.value.code


class TestWhatIsAsked:
    def test_of_a_working_order_waits_beside_it(self, order):
        after = modify(order, price=D(1010), quantity=D(20))
        asked = Amendment.objects.get()
        assert (asked.kind, asked.state, asked.reason, asked.requested_by) == ("MODIFY", "QUEUED", "nearer", "TRADER:1")
        assert (asked.price, asked.quantity, asked.type, asked.time_in_force) == (1010, 20, "LIMIT", "DAY")
        kept = fresh(order)
        assert (kept.price, kept.quantity, kept.version, kept.modifications) == (1000, 10, order.version + 1, 0)
        assert after.version == kept.version

    def test_is_on_record_with_old_and_new_terms(self, order):
        modify(order, price=D(1010))
        asked = order_events(order.pk).get(event_type="MODIFY_REQUESTED")
        assert asked.data["old"] == {"price": "1000"}
        assert asked.data["new"] == {"price": "1010"}
        assert asked.data["reason"] == "nearer"

    def test_of_an_order_that_never_left_is_done_at_once_and_gives_back(self, account):
        order = place()
        held = open_reservations([order.pk])[order.pk]
        modify(order, quantity=D(5))
        assert (fresh(order).quantity, Amendment.objects.get().state) == (5, "CONFIRMED")
        assert open_reservations([order.pk])[order.pk] < held * D("0.51")
        assert events(order)[2:] == ["MODIFY_REQUESTED", "ORDER_MODIFIED", "CAPITAL_RELEASED"]
        assert claim_amendments(order.broker_account_id, limit=10, at=now()) == []

    def test_dearer_reserves_before_anything_is_sent(self, order):
        held = open_reservations([order.pk])[order.pk]
        modify(order, quantity=D(20))
        amendment = Amendment.objects.get()
        assert amendment.held == open_reservations([order.pk])[order.pk] == held + amendment.raised


class TestWhatMayNotBeAsked:
    def test_of_an_order_that_is_not_there(self):
        ghost = Order(id=new_id())
        assert refusal(lambda: modify(ghost, price=D(990))) == "not_found"
        assert refusal(lambda: cancel(ghost)) == "not_found"

    def test_by_somebody_elses_hand(self, order, outsider, viewer):
        for ask in (lambda u: modify(order, user=u, price=D(990)), lambda u: cancel(order, user=u)):
            with pytest.raises(NotFound):
                ask(outsider)
            with pytest.raises(Forbidden):
                ask(viewer)
        assert not Amendment.objects.exists()

    def test_by_somebody_who_has_not_seen_the_last_version(self, order):
        with pytest.raises(Stale):
            modify(order, price=D(990), version=order.version - 1)
        with pytest.raises(Stale):
            cancel(order, version=order.version - 1)
        assert modify(order, price=D(990), version=order.version).version == order.version + 1

    def test_of_an_order_that_has_ended(self, order):
        see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
        assert refusal(lambda: modify(order, price=D(990))) == "order_ended"
        assert refusal(lambda: cancel(order)) == "order_ended"

    def test_of_an_order_that_is_on_its_way(self, account):
        order = place()
        claim_orders(order.broker_account_id, limit=1, at=now())
        assert refusal(lambda: modify(order, price=D(990))) == "order_in_flight"
        assert cancel(order).state == "SUBMITTING", "a cancel waits until the broker has it"

    def test_of_an_order_of_unknown_outcome(self, account):
        order = send(place(), Unconfirmed("timed out"))
        assert refusal(lambda: modify(order, price=D(990))) == "order_in_flight"

    def test_while_another_change_is_under_way(self, order):
        modify(order, price=D(990))
        assert refusal(lambda: modify(order, price=D(980))) == "amendment_open"
        cancel(order)
        assert refusal(lambda: modify(order, price=D(980))) == "amendment_open"

    def test_more_often_than_the_broker_allows(self, order):
        BrokerAccount.objects.update(modifications_per_order=1)
        modify(order, price=D(990))
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        answer_amendment(dispatch, Accepted("x"), at=now())
        see(order, BrokerStatus.OPEN, price=D(990))
        assert refusal(lambda: modify(order, price=D(980))) == "too_many_modifications"

    def test_of_an_order_from_outside(self, broker_account, order):
        apply_book(
            broker_account.pk, [replace(row(order, BrokerStatus.OPEN), broker_order_id="other", tags=())], [], at=now()
        )
        stranger = Order.objects.get(origin="EXTERNAL")
        assert refusal(lambda: modify(stranger, price=D(990))) == "external_order"
        assert refusal(lambda: cancel(stranger)) == "external_order"


class TestCancels:
    def test_one_is_asked_for_once(self, order):
        first = cancel(order)
        again = cancel(fresh(order))
        assert (Amendment.objects.count(), again.version) == (1, first.version)

    def test_overtakes_a_change_that_nobody_has_sent_but_not_one_that_was(self, order):
        modify(order, quantity=D(20))
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        cancel(order)
        assert set(Amendment.objects.values_list("kind", "state")) == {("MODIFY", "SENDING"), ("CANCEL", "QUEUED")}
        assert dispatch.terms is not None

    def test_each_of_a_list_has_its_own_answer(self, order, account):
        ended, unsent, ghost = see(send(place()), BrokerStatus.CANCELLED), place(), new_id()
        results = request_cancels(
            [order.pk, unsent.pk, ended.pk, ghost], actor=TRADER, at=now(), user=None, reason="all"
        )
        assert results[order.pk].state == "OPEN"
        assert results[unsent.pk].state == fresh(unsent).state == "CANCELED"
        assert isinstance(results[ended.pk], Conflict)
        assert isinstance(results[ghost], NotFound)
        assert Amendment.objects.get().order_id == order.pk

    def unsent(self, count):
        return [stored(placement) for placement in place_list([request_for(quantity=D(1))] * count)]

    def sent(self, count):
        return working(count, quantity=D(1))

    def being_changed(self, count):
        orders = working(count, quantity=D(1))
        for order in orders:
            modify(order, quantity=D(2))
        return orders

    @pytest.mark.parametrize("made", [unsent, sent, being_changed])
    def test_many_take_as_many_statements_as_one(self, made):
        counts = []
        for number in (1, 60):
            ids = [order.pk for order in made(self, number)]
            with CaptureQueriesContext(connection) as queries:
                results = request_cancels(ids, actor=TRADER, at=now(), user=None)
            assert all(isinstance(result, Order) for result in results.values())
            counts.append(len(queries))
        assert counts[0] == counts[1]
