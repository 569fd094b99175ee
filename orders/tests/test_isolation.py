"""What cannot be applied loses nothing else; what nobody is to blame for may be tried anew."""

import pytest
from django.db import OperationalError

from oms.lib.clock import now
from oms.lib.ids import new_id
from orders.models import Order
from orders.services import submission
from orders.services.isolation import apply_isolated
from orders.services.submission import answer_placements, claim_orders
from orders.tests.factories import broker_id, fresh, place
from orders.types import Accepted, Refused

pytestmark = pytest.mark.django_db


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
    real = submission.progress

    def progress(desk, order, *args, **kwargs):
        if order.pk == bad.pk:
            raise ZeroDivisionError
        return real(desk, order, *args, **kwargs)

    monkeypatch.setattr(submission, "progress", progress)
    answers = [
        (good.pk, Accepted(broker_id(good))), (bad.pk, Accepted(broker_id(bad))),
        (new_id(), Accepted("of an order that does not exist")), (refused.pk, Refused("InputException", "no")),
    ]  # fmt: skip
    answer_placements(answers, at=now())
    assert [fresh(order).state for order in (good, bad, refused)] == ["ACKED", "SUBMITTING", "REJECTED"]
    assert fresh(bad).broker_order_id == ""
    assert Order.objects.count() == 3


def test_answers_that_came_twice_count_once(account, sbin):
    order = place()
    claim_orders(order.broker_account_id, limit=1, at=now())
    answers = [(order.pk, Accepted(broker_id(order))), (order.pk, Refused("InputException", "no"))]
    answer_placements(answers, at=now())
    after = fresh(order)
    assert (after.state, after.broker_order_id, after.rejection_code) == ("ACKED", broker_id(order), "")
