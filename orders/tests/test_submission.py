"""Sending once: what may be claimed, what an answer does, and what a dead worker leaves behind."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from compliance.selectors import order_events
from ledger.models import CapitalEntry
from ledger.selectors import trial_balance
from oms.lib.clock import now
from orders.models import Amendment, BrokerAccount, BrokerMessage
from orders.selectors import with_work_waiting
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.sending import abandon_amendments, answer_amendment, claim_amendments
from orders.services.submission import abandon_submissions, answer_place, claim_orders, expire_unsent
from orders.states import OPEN_AMENDMENTS
from orders.tasks import sweep
from orders.tests.factories import TRADER, broker_id, fresh, place, see, send
from orders.types import (
    Accepted,
    BrokerStatus,
    Busy,
    Modification,
    NotSent,
    OrderType,
    Refused,
    Side,
    TimeInForce,
    Unconfirmed,
    Variety,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


def claim(order, limit=10, at=None):
    return [s.order_id for s in claim_orders(order.broker_account_id, limit=limit, at=at or now())]


def free(portfolio):
    portfolio.refresh_from_db()
    return portfolio.free, portfolio.reserved


class TestClaim:
    def test_oldest_first_up_to_the_limit_and_each_once(self):
        orders = [place() for _ in range(3)]
        assert claim(orders[0], limit=2) == [orders[0].pk, orders[1].pk]
        assert claim(orders[0]) == [orders[2].pk]
        assert claim(orders[0]) == []

    def test_the_attempt_is_on_record_before_anybody_is_called(self):
        order, at = place(), now()
        claim(order, at=at)
        order = fresh(order)
        assert (order.state, order.sent_at) == ("SUBMITTING", at)
        assert order_events(order.pk).last().data == {
            "state": "SUBMITTING", "tag": order.tag, "broker_account": str(order.broker_account_id),
        }  # fmt: skip

    def test_the_broker_is_told_what_the_trader_asked_for(self):
        order = place(
            type=OrderType.STOP_LIMIT, side=Side.SELL, product="MIS", quantity=D(7), price=D(990), stop_price=D(995),
            disclosed_quantity=D(2), time_in_force=TimeInForce.TTL, validity_minutes=5,
        )  # fmt: skip
        (submission,) = claim_orders(order.broker_account_id, limit=1, at=now())
        told = submission.instruction
        assert (told.tag, told.exchange, told.symbol, told.side, told.product) == (
            order.tag,
            "NSE",
            "SBIN",
            "SELL",
            "MIS",
        )
        assert (told.terms.quantity, told.terms.price, told.terms.stop_price, told.terms.type) == (
            7,
            990,
            995,
            "STOP_LIMIT",
        )
        assert (told.terms.disclosed_quantity, told.terms.time_in_force, told.validity_minutes) == (2, "TTL", 5)

    @pytest.mark.parametrize("state", ["CLOSED", "EXPIRED"])
    def test_nothing_while_the_session_is_not_open(self, state):
        order = place()
        BrokerAccount.objects.update(session_state=state)
        assert claim(order) == []
        assert with_work_waiting(at=now()) == []
        assert fresh(order).state == "CREATED"
        BrokerAccount.objects.update(session_state="OPEN")
        assert with_work_waiting(at=now()) == [order.broker_account_id]
        assert claim(order) == [order.pk]

    def test_nothing_while_we_cannot_watch(self):
        order = place()
        BrokerAccount.objects.update(poll_message="timed out")
        assert claim(order) == []

    def test_nothing_of_another_broker_account(self, broker_account):
        place()
        assert claim_orders(broker_account.pk + 1, limit=10, at=now()) == []

    def test_a_cancelled_order_is_not_sent(self):
        order = place()
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        assert claim(order) == []

    def test_a_modified_one_is_sent_as_modified(self):
        order = place()
        request_modify(order.pk, Modification(price=D(950)), actor=TRADER, at=now(), user=None)
        (submission,) = claim_orders(order.broker_account_id, limit=1, at=now())
        assert submission.instruction.terms.price == 950


class TestADayThatEnded:
    """Friday 20 November 2026, 15:20 in India; what was not sent that day must not go at Friday's prices."""

    FRIDAY = datetime(2026, 11, 20, 9, 50, tzinfo=UTC)

    @pytest.fixture(autouse=True)
    def _on_friday(self, time_machine):
        time_machine.move_to(self.FRIDAY, tick=False)

    @pytest.mark.parametrize(
        ("variety", "days", "goes"),
        [
            ("regular", 0, True),
            ("regular", 1, False),
            ("regular", 3, False),
            ("amo", 1, True),
            ("amo", 3, True),
            ("amo", 4, False),
        ],
    )
    def test_what_was_not_sent_expires_and_gives_back(self, portfolio, variety, days, goes):
        order = place(variety=Variety(variety))
        later = self.FRIDAY + timedelta(days=days)
        if goes:
            assert expire_unsent(at=later) == 0
            assert claim(order, at=later) == [order.pk]
            return
        assert claim(order, at=later) == []
        assert fresh(order).state == "CREATED"
        assert expire_unsent(at=later) == 1
        order = fresh(order)
        assert (order.state, order.ended_at, free(portfolio)) == ("EXPIRED", later, (1_000_000, 0))
        expired = order_events(order.pk).get(event_type="ORDER_EXPIRED")
        assert "before it could be sent" in expired.data["reason"]
        assert expire_unsent(at=later) == 0

    def test_over_a_holiday_an_after_market_order_waits_for_the_next_session(self):
        """Placed on Monday the 23rd it is for Wednesday: Tuesday is Guru Nanak's birthday."""
        order = place(variety=Variety.AMO, at=self.FRIDAY + timedelta(days=3))
        wednesday = self.FRIDAY + timedelta(days=5)
        assert expire_unsent(at=wednesday) == 0
        assert expire_unsent(at=wednesday + timedelta(days=1)) == 1
        order = place(variety=Variety.AMO, at=self.FRIDAY + timedelta(days=3))
        assert claim(order, at=wednesday) == [order.pk]

    def test_the_day_is_that_of_india_and_the_sweep_sees_to_it(self, time_machine):
        order = place()
        time_machine.move_to(datetime(2026, 11, 20, 18, 29, 59, tzinfo=UTC), tick=False)
        BrokerAccount.objects.update(session_state="EXPIRED")
        sweep(at=now())
        assert fresh(order).state == "CREATED"
        time_machine.move_to(datetime(2026, 11, 20, 18, 30, tzinfo=UTC), tick=False)
        sweep(at=now())
        assert fresh(order).state == "EXPIRED"


class TestAnswers:
    def test_accepted(self):
        order = send(place())
        assert (order.state, order.broker_order_id) == ("ACKED", broker_id(order))
        message = BrokerMessage.objects.get()
        assert (message.source, message.summary) == ("PLACE", f"Accepted: {broker_id(order)}")

    @pytest.mark.parametrize(
        ("outcome", "code", "reason"),
        [
            (Refused("MarginException", "Insufficient funds."), "MarginException", "Insufficient funds."),
            (NotSent("connection refused"), "NOT_SENT", "connection refused"),
        ],
    )
    def test_what_the_broker_certainly_does_not_have(self, portfolio, outcome, code, reason):
        order = send(place(), outcome)
        assert (order.state, order.rejection_code) == ("REJECTED", code)
        assert reason in order.rejection_reason
        assert free(portfolio) == (1_000_000, 0)

    def test_nobody_knows(self, portfolio):
        order = send(place(), Unconfirmed("timed out"))
        assert (order.state, free(portfolio)[1]) == ("UNKNOWN", D("10011.87"))
        assert CapitalEntry.objects.get(kind="RESERVE").status == "RECONCILING"
        assert claim(order) == [], "never again under this row"

    @pytest.mark.parametrize("outcome", [Refused("X", "no"), NotSent("no"), Unconfirmed("?"), Accepted("B-other")])
    def test_an_answer_that_comes_after_the_order_was_seen_changes_nothing(self, outcome):
        order = place()
        claim(order)
        order = see(order, BrokerStatus.OPEN)
        answer_place(order.pk, outcome, at=now())
        after = fresh(order)
        assert (after.state, after.broker_order_id, after.rejection_code) == ("OPEN", broker_id(order), "")
        assert after.version == order.version

    def test_a_refusal_ends_a_cancellation_that_was_waiting_for_the_order(self):
        order = place()
        claim(order)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        answer_place(order.pk, Refused("MarginException", "no"), at=now())
        assert not Amendment.objects.filter(state__in=OPEN_AMENDMENTS).exists()

    def test_a_long_refusal_is_cut(self):
        order = send(place(), Refused("E" * 100, "m" * 1000))
        assert (len(order.rejection_code), len(order.rejection_reason)) == (40, 500)


class TestADeadWorker:
    def test_a_claim_without_an_answer_becomes_unknown_after_a_while(self, portfolio):
        order, at = place(), now()
        claim(order, at=at)
        assert abandon_submissions(at=at + timedelta(seconds=10)) == 0
        assert abandon_submissions(at=at + timedelta(seconds=10, microseconds=1)) == 1
        assert fresh(order).state == "UNKNOWN"
        assert free(portfolio)[1] == D("10011.87")
        assert abandon_submissions(at=at + timedelta(minutes=1)) == 0

    def test_the_answer_may_come_all_the_same(self):
        for outcome, state in ((Accepted("B1"), "ACKED"), (Refused("X", "no"), "UNKNOWN"), (NotSent("no"), "UNKNOWN")):
            order, at = place(), now()
            claim(order, at=at)
            abandon_submissions(at=at + timedelta(seconds=11))
            answer_place(order.pk, outcome, at=now())
            assert fresh(order).state == state

    def test_an_amendment_too(self):
        order = see(send(place()), BrokerStatus.OPEN)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        at = now()
        (dispatch,) = claim_amendments(order.broker_account_id, limit=1, at=at)
        assert abandon_amendments(at=at + timedelta(seconds=10)) == 0
        assert abandon_amendments(at=at + timedelta(seconds=11)) == 1
        assert Amendment.objects.get().state == "UNKNOWN"
        answer_amendment(dispatch, Accepted("x"), at=now())
        assert Amendment.objects.get().state == "UNKNOWN", "the order's row has the last word"


class TestAmendments:
    @pytest.fixture
    def order(self):
        return see(send(place()), BrokerStatus.OPEN)

    def claim(self, order, at=None, limit=10):
        return claim_amendments(order.broker_account_id, limit=limit, at=at or now())

    def test_cancels_go_first(self, order):
        other = see(send(place()), BrokerStatus.OPEN)
        request_modify(order.pk, Modification(price=D(990)), actor=TRADER, at=now(), user=None)
        request_cancel(other.pk, actor=TRADER, at=now(), user=None)
        assert [d.terms is None for d in self.claim(order)] == [True, False]

    def test_each_once(self, order):
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        assert len(self.claim(order)) == 1
        assert self.claim(order) == []

    def test_a_cancel_waits_until_the_broker_has_the_order(self):
        order = place()
        claim(order)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        assert self.claim(order) == []
        answer_place(order.pk, Accepted("B1"), at=now())
        assert [d.broker_order_id for d in self.claim(order)] == ["B1"]

    def test_being_processed_is_tried_again_later_and_later(self, order):
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        at = now() + timedelta(seconds=1)
        waits = []
        for _ in range(8):
            (dispatch,) = self.claim(order, at=at)
            answer_amendment(dispatch, Busy("The order is on its way."), at=at)
            amendment = Amendment.objects.get()
            waits.append((amendment.due_at - at).total_seconds())
            assert (
                amendment.state == "REJECTED"
                or self.claim(order, at=amendment.due_at - timedelta(milliseconds=1)) == []
            )
            at = amendment.due_at
        assert waits[:5] == [0.5, 1, 2, 4, 8]
        assert Amendment.objects.get().state == "REJECTED"
        assert "8 attempts" in Amendment.objects.get().message
        assert order_events(order.pk).last().event_type == "CANCEL_REJECTED"

    def test_nothing_goes_while_the_session_is_not_open(self, order):
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        BrokerAccount.objects.update(session_state="EXPIRED")
        assert self.claim(order) == []
