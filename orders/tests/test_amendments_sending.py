"""Amendments on their way out: what stops a modification, and that nothing but the broker's word stops a cancel."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from compliance.models import Account, Alert, AlgoRegistration
from compliance.selectors import order_events
from compliance.services.controls import set_kill_switch, set_limits
from ledger.selectors import trial_balance
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.brokers.base import OrderBusy, SessionExpired
from orders.gateway import sending
from orders.models import Amendment, BrokerAccount, BrokerMessage
from orders.services.amendments import sending as amendments_sending
from orders.services.amendments.asking import request_cancel, request_cancels, request_modify
from orders.services.amendments.sending import (
    HELD_UP_AFTER,
    abandon_amendments,
    answer_amendment,
    answer_amendments,
    claim_amendments,
    close_lost_cancels,
    tell_of_held_up,
)
from orders.services.observation import apply_book
from orders.services.resolution import COMPLETE_MISSES, count_misses, mark_lost
from orders.services.submission import claim_orders
from orders.tests.factories import TRADER, fresh, place, row, see, send, working
from orders.types import Accepted, BrokerStatus, Busy, LoggedOut, Modification, NotSent, Refused, Unconfirmed

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


class TestManyAnswersAtOnce:
    @pytest.fixture(autouse=True)
    def _no_limits(self, account, sbin):
        set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())

    def cancelled(self, count, at=None):
        orders = working(count, quantity=D(1))
        request_cancels([order.pk for order in orders], actor=TRADER, at=at or now(), user=None)
        return claim_amendments(orders[0].broker_account_id, limit=count, at=at or now())

    def modified(self, count):
        orders = working(count, quantity=D(1))
        for order in orders:
            modify(order, quantity=D(2))
        return claim_amendments(orders[0].broker_account_id, limit=count, at=now())

    @pytest.mark.parametrize(
        ("outcome", "state"),
        [
            (Accepted("x"), "SENT"),
            (Unconfirmed("timed out"), "UNKNOWN"),
            (Refused("InputException", "no"), "REJECTED"),
            (Busy("moving"), "QUEUED"),
            (NotSent("connection refused"), "QUEUED"),
            (DEAD_TOKEN, "QUEUED"),
        ],
    )
    @pytest.mark.parametrize("made", [cancelled, modified])
    def test_take_as_many_statements_as_one(self, made, outcome, state):
        counts = []
        for number in (1, 40):
            dispatches = made(self, number)
            with CaptureQueriesContext(connection) as queries:
                answer_amendments([(dispatch, outcome) for dispatch in dispatches], at=now())
            counts.append(len(queries))
            ids = [dispatch.amendment_id for dispatch in dispatches]
            assert set(Amendment.objects.filter(pk__in=ids).values_list("state", flat=True)) == {state}
        assert counts[0] == counts[1]

    def test_that_were_held_up_close_their_alerts_in_one_statement(self):
        asked_at = now()
        dispatches = self.cancelled(3, at=asked_at)
        late = asked_at + timedelta(seconds=40)
        answer_amendments([(dispatch, DEAD_TOKEN) for dispatch in dispatches], at=late)
        assert Alert.objects.filter(kind="AMENDMENT_HELD_UP", closed_at=None).count() == 3
        later = late + timedelta(seconds=10)
        again = claim_amendments(BrokerAccount.objects.get().pk, limit=10, at=later)
        with CaptureQueriesContext(connection) as queries:
            answer_amendments([(dispatch, Accepted("x")) for dispatch in again], at=later)
        assert len([query for query in queries if 'UPDATE "compliance_alert"' in query["sql"]]) == 1
        assert not Alert.objects.filter(kind="AMENDMENT_HELD_UP", closed_at=None).exists()

    def test_each_has_its_own_outcome(self):
        outcomes = [Accepted("x"), Unconfirmed("timed out"), Refused("InputException", "no")]
        answers = list(zip(self.cancelled(3), outcomes, strict=True))
        answer_amendments(answers, at=now())
        states = [Amendment.objects.get(pk=dispatch.amendment_id).state for dispatch, _ in answers]
        assert states == ["SENT", "UNKNOWN", "REJECTED"]
        said = BrokerMessage.objects.filter(source="CANCEL").values_list("summary", flat=True)
        assert sorted(said) == ["Accepted: x", "Refused: no", "Unconfirmed: timed out"]

    def test_one_that_cannot_be_applied_loses_none_of_the_others(self, monkeypatch):
        good, bad, last = self.cancelled(3)

        def fails_for_one(desk, order, amendment, outcome, *, apply=amendments_sending._apply):
            if amendment.id == bad.amendment_id:
                raise ValueError("a row that nobody expected")
            apply(desk, order, amendment, outcome)

        monkeypatch.setattr(amendments_sending, "_apply", fails_for_one)
        answer_amendments([(dispatch, Accepted("x")) for dispatch in (good, bad, last)], at=now())
        states = [Amendment.objects.get(pk=dispatch.amendment_id).state for dispatch in (good, bad, last)]
        assert states == ["SENT", "SENDING", "SENT"], "the sweep calls unknown what has no answer"
        assert abandon_amendments(at=now() + timedelta(seconds=11)) == 1

    def test_a_deadlock_is_the_callers_to_try_again_and_leaves_nothing(self, monkeypatch):
        dispatches = self.cancelled(2)

        def deadlock(*_):
            raise OperationalError("deadlock detected")

        with monkeypatch.context() as patched:
            patched.setattr(amendments_sending, "_apply", deadlock)
            with pytest.raises(OperationalError):
                answer_amendments([(dispatch, Accepted("x")) for dispatch in dispatches], at=now())
        assert set(Amendment.objects.values_list("state", flat=True)) == {"SENDING"}
        answer_amendments([(dispatch, Accepted("x")) for dispatch in dispatches], at=now())
        assert set(Amendment.objects.values_list("state", flat=True)) == {"SENT"}


@pytest.mark.parametrize("halted", [False, True])
def test_claiming_many_takes_as_many_statements_as_one(account, sbin, halted):
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
    counts, became = [], "REJECTED" if halted else "SENDING"
    for number in (1, 30):
        orders = working(number, quantity=D(1))
        for order in orders:
            modify(order, quantity=D(2))
        switch(account, "HALTED" if halted else "ACTIVE")
        with CaptureQueriesContext(connection) as queries:
            claimed = claim_amendments(orders[0].broker_account_id, limit=100, at=now())
        switch(account, "ACTIVE")
        counts.append(len(queries))
        assert len(claimed) == (0 if halted else number)
        states = Amendment.objects.filter(order__in=orders).values_list("state", flat=True)
        assert list(states) == [became] * number
    assert counts[0] == counts[1]


def test_the_sweeps_take_as_many_statements_for_many_as_for_one(account, sbin):
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
    counts = []
    for number in (1, 30):
        orders = working(number, quantity=D(1))
        request_cancels([order.pk for order in orders], actor=TRADER, at=now(), user=None)
        claim_amendments(orders[0].broker_account_id, limit=100, at=now())
        with CaptureQueriesContext(connection) as queries:
            assert abandon_amendments(at=now() + timedelta(seconds=11)) == number
        counts.append(len(queries))
    assert counts[0] == counts[1]


class TestTheCall:
    @pytest.mark.parametrize("outcome", [Busy("Order is being processed"), NotSent("connection refused")])
    def test_a_modification_that_does_not_get_in_is_given_up_after_eight_attempts(self, order, portfolio, outcome):
        before, at = reserved(portfolio), now()
        modify(order, quantity=D(20))
        pauses = []
        for _ in range(8):
            (dispatch,) = claim(order, at + timedelta(hours=1))
            answer_amendment(dispatch, outcome, at=at)
            pauses.append((Amendment.objects.get().due_at - at).total_seconds())
        amendment = Amendment.objects.get()
        assert (amendment.state, amendment.attempts, reserved(portfolio)) == ("REJECTED", 8, before)
        assert "(8 attempts)" in amendment.message
        assert pauses[:7] == [0.5, 1, 2, 4, 8, 8, 8]

    def test_an_answer_that_comes_after_the_row_changes_nothing(self, order):
        modify(order, price=D(990))
        (dispatch,) = claim(order)
        see(order, BrokerStatus.OPEN, price=D(990))
        before = Amendment.objects.values().get()
        answer_amendment(dispatch, Refused("InputException", "no"), at=now())
        assert Amendment.objects.values().get() == before
        assert fresh(order).price == 990

    def test_the_answer_to_a_call_that_was_given_up_says_nothing_of_the_next_one(self, order):
        cancel(order)
        (given_up,) = claim(order)
        late = now() + timedelta(seconds=20)
        assert abandon_amendments(at=late) == 1
        late += timedelta(seconds=10)
        apply_book(order.broker_account_id, [row(order, BrokerStatus.OPEN)], [], at=late, source="LOOK")
        (under_way,) = claim(order, late)
        answer_amendment(given_up, Refused("InputException", "no"), at=late)
        assert Amendment.objects.get().state == "SENDING"
        answer_amendment(under_way, Accepted("x"), at=late)
        assert Amendment.objects.get().state == "SENT"

    def test_cancels_go_first_and_a_modification_waits_for_them(self, order):
        other = see(send(place(price=D(995))), BrokerStatus.OPEN)
        modify(order, price=D(990))
        cancel(other)
        assert [dispatch.terms is None for dispatch in claim(order)] == [True, False]

    def test_nothing_is_claimed_twice_nor_without_a_session(self, order):
        cancel(order)
        BrokerAccount.objects.update(session_state="CLOSED")
        assert claim(order) == []
        BrokerAccount.objects.update(session_state="OPEN")
        assert len(claim(order)) == 1
        assert claim(order) == []


def test_a_cancel_of_a_lost_order_ends_with_its_day():
    order = send(place(), Unconfirmed("timed out"))
    cancel(order)
    for number in range(COMPLETE_MISSES):
        at = now() + timedelta(seconds=10 + number)
        count_misses(order.broker_account_id, set(), begun_at=at, at=at)
    mark_lost([order.pk], at=now())
    assert close_lost_cancels(at=now()) == 0
    assert Amendment.objects.get().state == "QUEUED", "should the order turn up, it goes at once"
    assert close_lost_cancels(at=now() + timedelta(days=1)) == 1
    assert (Amendment.objects.get().state, Amendment.objects.get().message) == ("REJECTED", "The order is lost.")


def test_a_cancel_that_nobody_could_send_is_told_of_once_and_closes_when_it_gets_through(portfolio, broker_account):
    (order,) = working(1)
    request_cancels([order.pk], actor=TRADER, at=now(), user=None)
    broker_account.session_state = "EXPIRED"
    broker_account.save(update_fields=["session_state"])
    assert tell_of_held_up(at=now()) == 0, "it has not waited for long"
    later = now() + HELD_UP_AFTER + timedelta(seconds=1)
    assert (tell_of_held_up(at=later), tell_of_held_up(at=later)) == (1, 0)
    alert = Alert.objects.get(kind="AMENDMENT_HELD_UP")
    assert (alert.order_id, alert.count, alert.closed_at) == (order.pk, 1, None)
    broker_account.session_state = "OPEN"
    broker_account.save(update_fields=["session_state"])
    (dispatch,) = claim_amendments(order.broker_account_id, limit=1, at=later)
    answer_amendment(dispatch, Accepted("x"), at=later)
    alert.refresh_from_db()
    assert alert.closed_at is not None
