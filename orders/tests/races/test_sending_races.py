"""Several workers on one broker account: what must wait for the broker's rate waits, and each order arrives once."""

import threading
from decimal import Decimal as D

import pytest

from compliance.services.controls import set_limits
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.gateway import sending
from orders.gateway.sending import drain
from orders.gateway.watching import poll
from orders.models import BrokerAccount, Order
from orders.tests.brokers.paper.process import wait_for
from orders.tests.factories import place


@pytest.fixture(autouse=True)
def _no_rate_limit_of_ours(account):
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())


def test_workers_that_see_the_same_room_do_not_claim_it_twice(race, account, broker_account, paper, monkeypatch):
    BrokerAccount.objects.update(orders_per_second=5)
    for _ in range(19):
        place(quantity=D(1), price=D(950))
    together, permits, looked = threading.Barrier(4), sending.permits, threading.local()

    def permits_seen_by_all(account):
        """Each worker's first look is at the same room."""
        room = permits(account)
        if not hasattr(looked, "once"):
            looked.once = True
            try:
                together.wait(1)
            except threading.BrokenBarrierError:
                pass  # the others were kept from looking: as good
        return room

    monkeypatch.setattr(sending, "permits", permits_seen_by_all)
    race(account, *[lambda: drain(broker_account.pk)] * 4, lambda: place(quantity=D(1)), waiting_for=1)
    monkeypatch.undo()
    wait_for(lambda: (drain(broker_account.pk), Order.objects.filter(state="CREATED").count())[1], lambda n: n == 0, 20)
    assert set(Order.objects.values_list("state", "rejection_code")) == {("ACKED", "")}


def test_workers_and_polls_at_once(race, account, broker_account, paper):
    for _ in range(12):
        place(quantity=D(1), price=D(1010))
    work = [lambda: drain(broker_account.pk), lambda: [poll(broker_account.pk) for _ in range(5)]] * 2
    race(account, *work, lambda: place(quantity=D(1), price=D(1010)), waiting_for=1)

    def settled():
        drain(broker_account.pk)
        poll(broker_account.pk)
        return set(Order.objects.values_list("state", "filled_quantity"))

    assert wait_for(settled, lambda found: found == {("FILLED", 1)})
    assert len(paper.control("GET", "/orders")) == 13
