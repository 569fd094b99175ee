"""A broker whose answers take their time: what is slow holds up only itself, and what is old decides nothing."""

import threading
from datetime import timedelta
from decimal import Decimal as D

import pytest

from oms.lib.clock import now
from orders.gateway import sending
from orders.models import Amendment
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.outcomes import SETTLES_WITHIN
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.tests.factories import TRADER, fresh, place, row, see, send
from orders.types import Accepted, BrokerStatus, Modification, Unconfirmed

pytestmark = pytest.mark.django_db


class SlowBroker:
    """Answers at once, but for one order, which it answers only after the last of the others."""

    def __init__(self, slow_tag: str, others: int) -> None:
        self._slow_tag = slow_tag
        self._others = threading.Semaphore(0)
        self._count = others
        self.placed: list[str] = []

    def place(self, instruction):
        if instruction.tag == self._slow_tag:
            for _ in range(self._count):
                assert self._others.acquire(timeout=20), "the others wait for the slow one"
        self.placed.append(instruction.tag)
        self._others.release()
        return f"B-{instruction.tag}"


def test_one_slow_answer_holds_up_no_other_order(portfolio, sbin, monkeypatch):
    count = 2 * sending.CONCURRENT_CALLS
    orders = [place(quantity=D(1), at=now() - timedelta(seconds=n)) for n in range(count)]
    broker = SlowBroker(orders[0].tag, others=count - 1)
    monkeypatch.setattr(sending, "broker_for", lambda _: broker)
    monkeypatch.setattr(sending, "permits", lambda _: count)
    monkeypatch.setattr(sending, "DRAIN_SECONDS", 60.0)
    assert sending.drain(orders[0].broker_account_id) == count
    assert broker.placed[-1] == orders[0].tag
    assert {fresh(order).state for order in orders} == {"ACKED"}


def sent_amendment(order, outcome=None):
    (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
    answer_amendment(dispatch, outcome or Accepted("x"), at=now())
    return Amendment.objects.get()


def look(order, *, read_at, at):
    """A targeted look that shows the order as it was placed, begun and arrived when told."""
    snapshot = row(order, BrokerStatus.OPEN)
    apply_book(order.broker_account_id, [snapshot], [], at=at, read_at=read_at, source="LOOK")


def test_a_look_from_before_the_modification_does_not_refuse_it_however_late_it_arrives(portfolio, sbin):
    order = see(send(place()), BrokerStatus.OPEN)
    request_modify(order.pk, Modification(price=D(990)), actor=TRADER, at=now(), user=None)
    sent_at = sent_amendment(order).updated_at
    late = sent_at + 2 * SETTLES_WITHIN
    look(fresh(order), read_at=sent_at - timedelta(seconds=1), at=late)
    assert Amendment.objects.get().state == "SENT"
    look(fresh(order), read_at=sent_at + SETTLES_WITHIN, at=late)
    assert Amendment.objects.get().state == "REJECTED"


def test_a_look_from_before_the_cancel_does_not_send_it_again(portfolio, sbin):
    order = see(send(place()), BrokerStatus.OPEN)
    request_cancel(order.pk, actor=TRADER, at=now(), user=None)
    sent_at = sent_amendment(order).updated_at
    late = sent_at + 2 * SETTLES_WITHIN
    look(fresh(order), read_at=sent_at - timedelta(seconds=1), at=late)
    assert Amendment.objects.get().state == "SENT"
    look(fresh(order), read_at=sent_at + SETTLES_WITHIN, at=late)
    assert Amendment.objects.get().state == "QUEUED"


def test_a_look_refuses_no_modification_whose_call_is_still_under_way(portfolio, sbin):
    """Seven seconds is what a call may take; the broker carries it out at their end."""
    order = see(send(place()), BrokerStatus.OPEN)
    request_modify(order.pk, Modification(price=D(990)), actor=TRADER, at=now(), user=None)
    (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
    late = now() + 2 * SETTLES_WITHIN
    look(fresh(order), read_at=late, at=late)
    assert Amendment.objects.get().state == "SENDING"
    answer_amendment(dispatch, Unconfirmed("timed out"), at=late)
    look(fresh(order), read_at=late + timedelta(seconds=1), at=late + timedelta(seconds=1))
    assert Amendment.objects.get().state == "UNKNOWN"
