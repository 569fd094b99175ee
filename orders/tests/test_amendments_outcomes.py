"""What becomes of amendments: what a row proves, what only a later look may, and what an order's end settles."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from compliance.models import Alert
from compliance.selectors import order_events
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from orders.models import Amendment, Order
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.outcomes import CANCEL_ATTEMPTS, SETTLES_WITHIN
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.services.submission import answer_place, claim_orders, expire_unsent
from orders.tests.factories import TRADER, fresh, place, row, see, send, trade
from orders.types import Accepted, BrokerStatus, Modification, OrderType, Refused, TimeInForce, Unconfirmed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


@pytest.fixture
def order(account, sbin) -> Order:
    return see(send(place()), BrokerStatus.OPEN)


def sent(order, outcome=None, *, at=None):
    (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=at or now())
    answer_amendment(dispatch, outcome or Accepted("x"), at=at or now())
    return state()


def modify(order, **terms):
    request_modify(order.pk, Modification(**terms), actor=TRADER, at=now(), user=None)


def cancel(order):
    request_cancel(order.pk, actor=TRADER, at=now(), user=None)


def look(order, *, at, status=BrokerStatus.OPEN, **terms):
    """A targeted look, begun and answered at `at`."""
    apply_book(order.broker_account_id, [row(order, status, **terms)], [], at=at, source="LOOK")
    return state()


def state():
    return Amendment.objects.get().state


class TestARow:
    @pytest.mark.parametrize("outcome", [None, Accepted("x"), Unconfirmed("timed out")])
    def test_that_shows_the_new_terms_confirms_whatever_the_call_came_to(self, order, outcome):
        modify(order, price=D(990), quantity=D(12))
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        if outcome is not None:
            answer_amendment(dispatch, outcome, at=now())
        after = see(order, BrokerStatus.OPEN, price=D(990), quantity=D(12))
        assert (state(), after.price, after.quantity, after.modifications) == ("CONFIRMED", 990, 12, 1)
        recorded = order_events(order.pk).get(event_type="ORDER_MODIFIED").data
        assert (recorded["old"], recorded["new"]) == (
            {"quantity": "10", "price": "1000"}, {"quantity": "12", "price": "990"},
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("asked", "shown"),
        [
            ({"price": D(990)}, {}),
            ({"price": D(990)}, {"price": D(991)}),
            ({"quantity": D(12)}, {"quantity": D(11)}),
            ({"time_in_force": TimeInForce.IOC}, {}),
            ({"type": OrderType.STOP_LIMIT, "stop_price": D(1000)}, {"type": OrderType.STOP_LIMIT}),
        ],
    )
    def test_that_shows_other_terms_proves_nothing(self, order, asked, shown):
        modify(order, **asked)
        sent(order)
        after = see(order, BrokerStatus.OPEN, **shown)
        assert (state(), after.price, after.quantity, after.modifications) == ("SENT", 1000, 10, 0)

    def test_while_the_change_is_in_the_works_proves_nothing_either(self, order):
        modify(order, price=D(990))
        sent(order)
        see(order, BrokerStatus.OVERLAY, price=D(990))
        assert state() == "SENT"

    def test_of_the_book_never_refuses_however_late(self, order):
        modify(order, price=D(990))
        sent(order)
        apply_book(order.broker_account_id, [row(order, BrokerStatus.OPEN)], [], at=now() + timedelta(minutes=5))
        assert state() == "SENT"

    def test_does_not_confirm_what_was_not_sent(self, order):
        modify(order, price=D(990))
        see(order, BrokerStatus.OPEN, price=D(990))
        assert (state(), fresh(order).price) == ("QUEUED", 1000)


class TestALook:
    @pytest.mark.parametrize("outcome", [Accepted("x"), Unconfirmed("timed out")])
    def test_that_is_late_enough_refuses_a_change_and_gives_back(self, order, outcome):
        before = open_reservations([order.pk])
        modify(order, quantity=D(20))
        sent(order, outcome)
        assert look(order, at=now()) != "REJECTED"
        assert look(order, at=now() + SETTLES_WITHIN) == "REJECTED"
        assert open_reservations([order.pk]) == before
        assert fresh(order).quantity == 10
        assert order_events(order.pk).filter(event_type="MODIFY_REJECTED").count() == 1

    def test_sends_a_cancel_without_effect_again_five_times_and_then_calls_a_person(self, order):
        cancel(order)
        at = now()
        for attempt in range(1, CANCEL_ATTEMPTS + 1):
            assert sent(order, at=at) == "SENT"
            at += SETTLES_WITHIN
            assert look(order, at=at) == ("QUEUED" if attempt < CANCEL_ATTEMPTS else "REJECTED")
        alert = Alert.objects.get(kind="CANCEL_STUCK")
        assert (alert.severity, alert.order_id) == ("CRITICAL", order.pk)
        assert fresh(order).state == "OPEN"
        cancel(order)
        assert Amendment.objects.filter(state="QUEUED").count() == 1, "it may be asked for anew"


class TestTheOrdersEnd:
    @pytest.mark.parametrize("kind", ["CANCEL", "MODIFY"])
    @pytest.mark.parametrize(
        ("status", "became"),
        [(BrokerStatus.CANCELLED, "CANCELED"), (BrokerStatus.REJECTED, "REJECTED"), (BrokerStatus.LAPSED, "EXPIRED")],
    )
    @pytest.mark.parametrize("is_sent", [True, False])
    def test_settles_what_was_open(self, order, kind, status, became, is_sent):
        cancel(order) if kind == "CANCEL" else modify(order, quantity=D(20))
        if is_sent:
            sent(order)
        after = see(order, status)
        assert after.state == became
        done = kind == "CANCEL" and status is BrokerStatus.CANCELLED
        assert state() == ("CONFIRMED" if done else "REJECTED")
        assert done or Amendment.objects.get().message == f"The order is {became}."
        assert open_reservations([order.pk]).get(order.pk, D(0)) == 0

    def test_a_refusal_by_the_broker_closes_a_cancel_that_waited(self, account, sbin):
        order = place()
        claim_orders(order.broker_account_id, limit=1, at=now())
        cancel(order)
        answer_place(order.pk, Refused("MarginException", "Insufficient funds."), at=now())
        assert (state(), Amendment.objects.get().message) == ("REJECTED", "The order is REJECTED.")

    def test_an_order_that_was_never_sent_leaves_nothing_open(self, account, sbin):
        order = place()
        modify(order, price=D(990))
        expire_unsent(at=now() + timedelta(days=4))
        assert (fresh(order).state, state()) == ("EXPIRED", "CONFIRMED")


class TestGivingBack:
    def test_a_cheaper_change_gives_back_in_proportion_to_what_is_left(self, order):
        modify(order, price=D(950))
        sent(order)
        amendment = Amendment.objects.get()
        see(order, BrokerStatus.OPEN, [trade(order, 1, 5, 1000)], price=D(950))
        left = open_reservations([order.pk])[order.pk]
        assert D(5 * 950) <= left <= amendment.need / 2 + 1

    def test_a_refused_change_gives_back_what_it_had_raised_of_what_is_left(self, order):
        modify(order, quantity=D(20))
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        see(order, BrokerStatus.OPEN, [trade(order, 1, 5, 1000)])
        answer_amendment(dispatch, Refused("InputException", "no"), at=now())
        assert D(5 * 1000) <= open_reservations([order.pk])[order.pk] < D(5 * 1000) + 20
