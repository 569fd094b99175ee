"""What cannot be applied loses nothing else; what nobody is to blame for may be tried anew."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import OperationalError

from oms.lib.clock import now
from oms.lib.ids import new_id
from orders.models import Order
from orders.services import submission
from orders.services.amendments.asking import request_cancels
from orders.services.amendments.sending import abandon_amendments, claim_amendments
from orders.services.desk import Desk
from orders.services.isolation import apply_isolated
from orders.services.submission import abandon_submissions, answer_placements, claim_orders, expire_unsent
from orders.tests.factories import TRADER, broker_id, fresh, place, see, send
from orders.types import Accepted, BrokerStatus, Refused

pytestmark = pytest.mark.django_db


def break_progress_of(bad, monkeypatch):
    real = submission.progress

    def progress(desk, order, *args, **kwargs):
        if order.pk == bad.pk:
            raise ZeroDivisionError
        return real(desk, order, *args, **kwargs)

    monkeypatch.setattr(submission, "progress", progress)


def test_together_when_nothing_is_wrong():
    calls = []
    apply_isolated([1, 2, 3], lambda items: calls.append(list(items)), give_up=pytest.fail)
    assert calls == [[1, 2, 3]]


def test_nothing_is_applied_for_nothing():
    apply_isolated([], pytest.fail, give_up=pytest.fail)


def test_each_alone_when_one_of_them_fails():
    applied, given_up = [], []

    def apply(items):
        if 2 in items:
            raise ValueError("two")
        applied.append(list(items))

    apply_isolated([1, 2, 3], apply, give_up=lambda item, error: given_up.append((item, str(error))))
    assert applied == [[1], [3]]
    assert given_up == [(2, "two")]


def test_a_lock_that_was_not_had_is_nobodys_fault():
    def apply(items):
        raise OperationalError("lock timeout")

    with pytest.raises(OperationalError):
        apply_isolated([1, 2], apply, give_up=pytest.fail)


def test_an_answer_that_cannot_be_applied_loses_none_of_the_others(account, sbin, monkeypatch):
    good, bad, refused = place(), place(), place()
    claim_orders(good.broker_account_id, limit=3, at=now())
    break_progress_of(bad, monkeypatch)
    answers = [
        (good.pk, Accepted(broker_id(good))), (bad.pk, Accepted(broker_id(bad))),
        (new_id(), Accepted("of an order that does not exist")), (refused.pk, Refused("InputException", "no")),
    ]  # fmt: skip
    answer_placements(answers, at=now())
    assert [fresh(order).state for order in (good, bad, refused)] == ["ACKED", "SUBMITTING", "REJECTED"]
    assert fresh(bad).broker_order_id == ""
    assert Order.objects.count() == 3


@pytest.mark.parametrize(
    ("sweep", "later", "swept", "left"),
    [
        (abandon_submissions, timedelta(seconds=11), "UNKNOWN", "SUBMITTING"),
        (expire_unsent, timedelta(days=5), "EXPIRED", "CREATED"),
    ],
)
def test_an_order_that_cannot_be_swept_keeps_none_of_the_others(account, sbin, monkeypatch, sweep, later, swept, left):
    first, bad, last = place(), place(), place()
    if left == "SUBMITTING":
        claim_orders(first.broker_account_id, limit=3, at=now())
    break_progress_of(bad, monkeypatch)
    sweep(at=now() + later)
    assert [fresh(order).state for order in (first, bad, last)] == [swept, left, swept]


def test_an_amendment_that_cannot_be_swept_keeps_none_of_the_others(account, sbin, monkeypatch):
    orders = [see(send(place(quantity=D(1))), BrokerStatus.OPEN) for _ in range(3)]
    request_cancels([order.pk for order in orders], actor=TRADER, at=now(), user=None)
    claim_amendments(orders[0].broker_account_id, limit=3, at=now())
    real = Desk.amend

    def amend(desk, amendment, *args, **kwargs):
        if amendment.order_id == orders[1].pk:
            raise ZeroDivisionError
        return real(desk, amendment, *args, **kwargs)

    monkeypatch.setattr(Desk, "amend", amend)
    abandon_amendments(at=now() + timedelta(seconds=11))
    assert [order.amendments.get().state for order in orders] == ["UNKNOWN", "SENDING", "UNKNOWN"]


def test_answers_that_came_twice_count_once(account, sbin):
    order = place()
    claim_orders(order.broker_account_id, limit=1, at=now())
    answers = [(order.pk, Accepted(broker_id(order))), (order.pk, Refused("InputException", "no"))]
    answer_placements(answers, at=now())
    after = fresh(order)
    assert (after.state, after.broker_order_id, after.rejection_code) == ("ACKED", broker_id(order), "")
