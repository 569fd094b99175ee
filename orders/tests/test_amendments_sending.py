"""Amendments on their way out: what stops a modification, and that nothing but the broker's word stops a cancel."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal as D
from functools import partial

import pytest
from django.db import OperationalError

from compliance.models import Account, Alert, AlgoRegistration
from compliance.selectors import order_events
from compliance.services.controls import set_kill_switch
from ledger.selectors import trial_balance
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.brokers.base import OrderBusy, SessionExpired
from orders.gateway import sending
from orders.gateway.sending import Calls, _apply
from orders.models import Amendment
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.sending import answer_amendment, claim_amendments, close_lost_cancels
from orders.services.resolution import COMPLETE_MISSES, count_misses, mark_lost
from orders.services.submission import claim_orders
from orders.tests.factories import TRADER, fresh, place, see, send
from orders.types import Accepted, BrokerStatus, Busy, LoggedOut, Modification, NotSent, Unconfirmed

pytestmark = pytest.mark.django_db
DEAD_TOKEN = LoggedOut("SESSION_EXPIRED", "Incorrect api_key or access_token.")


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


@pytest.fixture
def order(account, sbin):
    return see(send(place()), BrokerStatus.OPEN)


def claim(order, at=None):
    return claim_amendments(order.broker_account_id, limit=10, at=at or now())


def cancel(order):
    request_cancel(order.pk, actor=TRADER, at=now(), user=None)


def modify(order, **terms):
    request_modify(order.pk, Modification(**terms), actor=TRADER, at=now(), user=None)


def switch(account, mode):
    set_kill_switch("ACCOUNT", account=account, mode=mode, reason="test", user=None, actor=SYSTEM, at=now())


def reserved(portfolio):
    portfolio.refresh_from_db()
    return portfolio.reserved


class TestWhatDidNotReachTheBroker:
    @pytest.mark.parametrize("outcome", [DEAD_TOKEN, NotSent("connection refused")])
    def test_a_cancel_goes_again_until_it_gets_through(self, order, outcome):
        cancel(order)
        at = Amendment.objects.get().created_at
        waits = []
        for _ in range(12):
            (dispatch,) = claim(order, at)
            answer_amendment(dispatch, outcome, at=at)
            due = Amendment.objects.get(state="QUEUED").due_at
            waits.append((due - at).total_seconds())
            at = due
        assert waits == [0.5, 0.5, 1, 2, 4, 8, 8, 8, 8, 8, 8, 8]
        alert = Alert.objects.get(kind="AMENDMENT_HELD_UP")
        assert (alert.severity, alert.order_id, alert.closed_at) == ("CRITICAL", order.pk, None)
        (dispatch,) = claim(order, at)
        answer_amendment(dispatch, Accepted("x"), at=at)
        assert Amendment.objects.get().state == "SENT"
        assert Alert.objects.get(kind="AMENDMENT_HELD_UP").closed_at == at

    def test_nobody_is_told_before_half_a_minute(self, order):
        cancel(order)
        (dispatch,) = claim(order)
        answer_amendment(dispatch, DEAD_TOKEN, at=Amendment.objects.get().created_at + timedelta(seconds=29))
        assert not Alert.objects.exists()

    def test_a_modification_waits_for_the_session_and_keeps_its_capital(self, order, portfolio):
        modify(order, quantity=D(20))
        before = reserved(portfolio)
        (dispatch,) = claim(order)
        answer_amendment(dispatch, DEAD_TOKEN, at=now())
        assert (Amendment.objects.get().state, reserved(portfolio)) == ("QUEUED", before)


class TestABusyOrder:
    def test_the_broker_is_asked_again_for_a_moment_and_then_it_is_told_as_busy(self, monkeypatch):
        asked = []

        def busy():
            asked.append(1)
            raise OrderBusy("The order is on its way.", retry_after=0.01)

        monkeypatch.setattr(sending, "TRY_AGAIN_SECONDS", 0.05)
        assert sending._outcome(busy, "Paper") == Busy("The order is on its way.")
        assert len(asked) > 1

    def test_a_session_that_is_over_is_told_as_that_whatever_the_broker_calls_it(self):
        def over():
            raise SessionExpired("Come back tomorrow", code="E-42")

        assert sending._outcome(over, "Paper") == LoggedOut("SESSION_EXPIRED", "Come back tomorrow")

    def test_a_modification_waits_for_it_and_keeps_its_capital(self, order, portfolio):
        modify(order, quantity=D(20))
        before = reserved(portfolio)
        (dispatch,) = claim(order)
        answer_amendment(dispatch, Busy("The order is on its way."), at=now())
        amendment = Amendment.objects.get()
        assert (amendment.state, amendment.attempts, reserved(portfolio)) == ("QUEUED", 1, before)


class TestWhatCameBetween:
    def test_a_halt_stops_a_modification_and_gives_back_what_it_reserved(self, order, account, portfolio):
        before = reserved(portfolio)
        modify(order, quantity=D(20))
        assert reserved(portfolio) > before
        switch(account, "HALTED")
        assert claim(order) == []
        assert (Amendment.objects.get().state, reserved(portfolio)) == ("REJECTED", before)
        assert order_events(order.pk).filter(event_type="MODIFY_REJECTED").count() == 1

    @pytest.mark.parametrize(
        ("terms", "passes"),
        [({"quantity": D(5)}, True), ({"quantity": D(20)}, False), ({"quantity": D(5), "price": D(1001)}, False)],
    )
    def test_reducing_lets_a_lower_quantity_pass(self, order, account, terms, passes):
        modify(order, **terms)
        switch(account, "REDUCING")
        assert len(claim(order)) == passes
        assert Amendment.objects.get().state == ("SENDING" if passes else "REJECTED")

    def test_a_cancel_always_passes(self, order, account):
        cancel(order)
        switch(account, "HALTED")
        Account.objects.filter(pk=account.pk).update(is_active=False)
        assert len(claim(order)) == 1

    def test_an_account_that_was_closed_sends_nothing_new(self, order, account, portfolio):
        modify(order, price=D(990))
        waiting, before = place(), reserved(portfolio)
        Account.objects.filter(pk=account.pk).update(is_active=False)
        assert claim(order) == []
        assert claim_orders(order.broker_account_id, limit=10, at=now()) == []
        waiting = fresh(waiting)
        assert (waiting.state, waiting.rejection_code) == ("REJECTED", "ACCOUNT_INACTIVE")
        assert reserved(portfolio) < before

    def test_nor_does_a_suspended_algorithm(self, account):
        algo = AlgoRegistration.objects.create(account=account, algo_id="A1", name="one")
        order = place(algo_id="A1")
        assert order.state == "CREATED"
        AlgoRegistration.objects.filter(pk=algo.pk).update(status="SUSPENDED")
        assert claim_orders(order.broker_account_id, limit=10, at=now()) == []
        assert (fresh(order).state, fresh(order).rejection_code) == ("REJECTED", "ALGO_SUSPENDED")


def test_a_cancel_of_a_lost_order_ends_with_its_day():
    order = send(place(), Unconfirmed("timed out"))
    cancel(order)
    for _ in range(COMPLETE_MISSES):
        count_misses(order.broker_account_id, set(), begun_at=now() + timedelta(seconds=10), at=now())
    mark_lost([order.pk], at=now())
    assert close_lost_cancels(at=now()) == 0
    assert Amendment.objects.get().state == "QUEUED", "should the order turn up, it goes at once"
    assert close_lost_cancels(at=now() + timedelta(days=1)) == 1
    assert (Amendment.objects.get().state, Amendment.objects.get().message) == ("REJECTED", "The order is lost.")


def test_an_answer_that_meets_a_deadlock_is_applied_anew_and_the_others_too():
    applied, failures = [], {"first": 1, "second": 99, "third": 0}

    def answer(name, outcome, *, at):
        if failures[name]:
            failures[name] -= 1
            raise OperationalError("deadlock detected")
        applied.append(name)

    with ThreadPoolExecutor(1) as pool:
        calls = Calls(pool)
        for name in failures:
            calls.make(lambda: "B1", "Paper", partial(_apply, 0, now(), partial(answer, name)))
        while calls.under_way:
            calls.apply_answers()
    assert applied == ["first", "third"]
    assert failures["second"] == 96
