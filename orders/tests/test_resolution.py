"""What is not in the book: not found only after five complete polls and a look; and days that are over."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from compliance.models import Alert
from compliance.selectors import order_events
from ledger.models import CapitalEntry
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from orders.models import Amendment, Order
from orders.services.amendments.asking import request_cancel
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.services.desk import Desk
from orders.services.resolution import COMPLETE_MISSES, count_misses, mark_lost, overdue_amendments, to_look_for
from orders.services.submission import answer_place, claim_orders
from orders.states import OPEN_AMENDMENTS
from orders.tests.factories import TRADER, fresh, place, see, send
from orders.types import Accepted, BrokerStatus, Unconfirmed, Variety

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


@pytest.fixture
def unknown():
    return send(place(), Unconfirmed("timed out"))


def miss(order, times=1, *, shown=(), after=timedelta(seconds=5), at=None):
    """So many complete polls that did not show the order, a second apart."""
    begun_at = fresh(order).sent_at + after
    for _ in range(times):
        applied_at = max(at or now(), fresh(order).updated_at + timedelta(seconds=1))
        count_misses(order.broker_account_id, set(shown), begun_at=begun_at, at=applied_at)


class TestUnknown:
    def test_five_complete_polls_and_then_a_look(self, unknown):
        for _ in range(COMPLETE_MISSES):
            assert to_look_for(unknown.broker_account_id) == []
            miss(unknown)
        assert to_look_for(unknown.broker_account_id) == [(unknown.pk, unknown.tag)]
        assert fresh(unknown).state == "UNKNOWN", "misses alone decide nothing"
        assert mark_lost([unknown.pk], at=now()) == 1
        assert fresh(unknown).state == "LOST"

    def test_a_poll_begun_too_soon_after_the_attempt_counts_for_nothing(self, unknown):
        miss(unknown, 10, after=timedelta(seconds=4, milliseconds=999))
        assert fresh(unknown).complete_misses == 0

    def test_a_poll_begun_too_soon_after_a_long_call_was_over_counts_for_nothing(self):
        """A call may time out after seven seconds, and reach the broker at their end."""
        order = place()
        claim_orders(order.broker_account_id, limit=1, at=now())
        over = fresh(order).sent_at + timedelta(seconds=7)
        answer_place(order.pk, Unconfirmed("timed out"), at=over)
        for seconds, misses in ((0.4, 0), (4.9, 0), (5, 1)):
            begun_at = over + timedelta(seconds=seconds)
            count_misses(order.broker_account_id, set(), begun_at=begun_at, at=begun_at)
            assert fresh(order).complete_misses == misses

    def test_polls_that_follow_each_other_at_once_count_as_one(self, unknown):
        begun_at = fresh(unknown).sent_at + timedelta(seconds=5)
        for tenth in range(31):
            at = begun_at + tenth * timedelta(seconds=0.1)
            count_misses(unknown.broker_account_id, set(), begun_at=at, at=at)
        assert fresh(unknown).complete_misses == 4, "in three seconds"

    def test_one_that_cannot_be_counted_or_lost_keeps_no_other_from_it(self, unknown, monkeypatch):
        bad = send(place(), Unconfirmed("timed out"))
        whole = Desk.write

        def write(desk):
            if bad.pk in desk.orders:
                raise ZeroDivisionError
            whole(desk)

        with monkeypatch.context() as patch:
            patch.setattr(Desk, "write", write)
            miss(unknown, after=timedelta(seconds=10))
        assert (fresh(unknown).complete_misses, fresh(bad).complete_misses) == (1, 0)
        assert Alert.objects.get(kind="ROW_NOT_APPLIED").order_id == bad.pk
        Order.objects.update(complete_misses=COMPLETE_MISSES)
        with monkeypatch.context() as patch:
            patch.setattr(Desk, "write", write)
            assert mark_lost([bad.pk, unknown.pk], at=now()) == 1
        assert (fresh(unknown).state, fresh(bad).state) == ("LOST", "UNKNOWN")

    def test_without_enough_misses_it_is_not_lost_whoever_says_so(self, unknown):
        miss(unknown, COMPLETE_MISSES - 1)
        assert mark_lost([unknown.pk], at=now()) == 0

    def test_being_seen_in_between_starts_the_count_again(self, unknown):
        miss(unknown, 4)
        order = see(unknown, BrokerStatus.OPEN)
        assert (order.state, order.complete_misses) == ("OPEN", 0)
        assert mark_lost([unknown.pk], at=now()) == 0

    def test_lost_frees_the_capital_and_says_why(self, unknown, portfolio):
        miss(unknown, COMPLETE_MISSES)
        mark_lost([unknown.pk], at=now())
        portfolio.refresh_from_db()
        assert (portfolio.free, portfolio.reserved) == (1_000_000, 0)
        events = list(order_events(unknown.pk))[-2:]
        assert [e.event_type for e in events] == ["ORDER_LOST", "CAPITAL_FAILED"]
        assert (events[0].data["complete_polls"], events[0].data["targeted_looks"]) == (5, 1)
        assert mark_lost([unknown.pk], at=now()) == 0

    @pytest.mark.parametrize(
        ("status", "state", "held"),
        [("OPEN", "OPEN", True), ("PENDING", "ACKED", True), ("CANCELLED", "CANCELED", False)],
    )
    def test_lost_and_found_reserves_again_if_it_works(self, unknown, status, state, held):
        miss(unknown, COMPLETE_MISSES)
        mark_lost([unknown.pk], at=now())
        order = see(unknown, BrokerStatus[status])
        assert order.state == state
        assert bool(open_reservations([order.pk])[order.pk]) is held
        reserves = list(CapitalEntry.objects.filter(kind="RESERVE").order_by("seq").values_list("status", flat=True))
        assert reserves == (["FAILED", "PENDING"] if held else ["FAILED"])

    def test_found_again_after_the_capital_was_spent_goes_into_overdraft(self, portfolio):
        order = send(place(quantity=D(900)), Unconfirmed("timed out"))
        miss(order, COMPLETE_MISSES)
        mark_lost([order.pk], at=now())
        assert place(quantity=D(900)).state == "CREATED"
        assert see(order, BrokerStatus.OPEN).state == "OPEN"
        portfolio.refresh_from_db()
        assert portfolio.free < 0
        assert portfolio.reserved > 1_800_000

    def test_at_most_ten_looks_at_a_time_longest_waiting_first(self, account):
        orders = [send(place(quantity=D(1)), Unconfirmed("?"), at=now() + timedelta(seconds=n)) for n in range(10)]
        Order.objects.filter(state="UNKNOWN").update(complete_misses=COMPLETE_MISSES)
        assert [pk for pk, _ in to_look_for(orders[0].broker_account_id)] == [order.pk for order in orders]

    def test_of_yesterday_it_is_not_lost_but_left_to_an_operator(self, unknown, portfolio):
        """The broker's book is emptied overnight: what it does not show today says nothing of yesterday."""
        tomorrow = now() + timedelta(days=1)
        miss(unknown, COMPLETE_MISSES + 2, at=tomorrow)
        assert mark_lost([unknown.pk], at=tomorrow) == 0
        assert fresh(unknown).state == "UNKNOWN"
        portfolio.refresh_from_db()
        assert portfolio.reserved > 10_000
        alert = Alert.objects.get(kind="UNRESOLVED_YESTERDAY")
        assert (alert.severity, alert.order_id, alert.count) == ("CRITICAL", unknown.pk, 1)
        assert unknown.tag in alert.summary

    def test_of_yesterday_it_may_still_be_found(self, unknown):
        miss(unknown, COMPLETE_MISSES, at=now() + timedelta(days=1))
        assert to_look_for(unknown.broker_account_id) == [(unknown.pk, unknown.tag)]
        assert see(unknown, BrokerStatus.OPEN).state == "OPEN"


class TestDaysThatAreOver:
    """Kite's book is emptied overnight: a working order that it no longer shows has expired."""

    EVENING = datetime(2026, 11, 20, 10, tzinfo=UTC)

    @pytest.fixture
    def order(self, time_machine):
        time_machine.move_to(self.EVENING, tick=False)
        return see(send(place()), BrokerStatus.OPEN)

    def test_it_expires_the_next_day(self, order, portfolio):
        tomorrow = self.EVENING + timedelta(hours=20)
        miss(order, COMPLETE_MISSES - 1, at=tomorrow)
        assert fresh(order).state == "OPEN"
        miss(order, at=tomorrow)
        order = fresh(order)
        assert (order.state, order.ended_at) == ("EXPIRED", tomorrow + timedelta(seconds=COMPLETE_MISSES - 1))
        portfolio.refresh_from_db()
        assert (portfolio.free, portfolio.reserved) == (1_000_000, 0)

    def test_not_on_its_own_day_in_india(self, order):
        miss(order, 10, at=datetime(2026, 11, 20, 18, 29, tzinfo=UTC))
        assert fresh(order).state == "OPEN"
        miss(order, COMPLETE_MISSES, at=datetime(2026, 11, 20, 18, 30, tzinfo=UTC))
        assert fresh(order).state == "EXPIRED"

    def test_an_operator_is_told_since_what_it_executed_meanwhile_was_not_seen(self, order):
        miss(order, COMPLETE_MISSES + 3, at=self.EVENING + timedelta(hours=20))
        alert = Alert.objects.get(kind="GONE_OVERNIGHT")
        assert (alert.severity, alert.order_id, alert.count) == ("CRITICAL", order.pk, 1)

    def test_an_after_market_order_not_before_its_session_has_passed(self, order):
        """Placed on a Friday it is for Monday, whatever the book shows over the weekend."""
        later = see(send(place(variety=Variety.AMO)), BrokerStatus.PENDING)
        shown = {order.broker_order_id}
        miss(later, COMPLETE_MISSES, shown=shown, at=self.EVENING + timedelta(days=3))
        assert fresh(later).state == "ACKED"
        miss(later, COMPLETE_MISSES, shown=shown, at=self.EVENING + timedelta(days=4))
        assert fresh(later).state == "EXPIRED"

    def test_nor_over_a_holiday(self, order):
        """Placed on Monday the 23rd it is for Wednesday: Tuesday is Guru Nanak's birthday."""
        monday = self.EVENING + timedelta(days=3)
        later = see(send(place(variety=Variety.AMO, at=monday), at=monday), BrokerStatus.PENDING)
        shown = {order.broker_order_id}
        miss(later, COMPLETE_MISSES, shown=shown, at=monday + timedelta(days=2))
        assert fresh(later).state == "ACKED"
        miss(later, COMPLETE_MISSES, shown=shown, at=monday + timedelta(days=3))
        assert fresh(later).state == "EXPIRED"

    def test_not_while_the_book_still_shows_it(self, order):
        miss(order, 10, shown={order.broker_order_id}, at=self.EVENING + timedelta(days=1))
        assert fresh(order).state == "OPEN"

    def test_what_was_being_changed_is_settled_with_it(self, order):
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        (dispatch,) = claim_amendments(order.broker_account_id, limit=1, at=now())
        answer_amendment(dispatch, Accepted("x"), at=now())
        tomorrow = self.EVENING + timedelta(days=1)
        miss(order, COMPLETE_MISSES, at=tomorrow)
        assert fresh(order).state == "EXPIRED"
        assert not Amendment.objects.filter(state__in=OPEN_AMENDMENTS).exists()
        assert overdue_amendments(order.broker_account_id, at=tomorrow) == []


class TestAmendmentsOverdue:
    def test_only_after_the_broker_had_its_time(self):
        order = see(send(place()), BrokerStatus.OPEN)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        at = now()
        (dispatch,) = claim_amendments(order.broker_account_id, limit=1, at=at)
        answer_amendment(dispatch, Unconfirmed("?"), at=at)
        assert overdue_amendments(order.broker_account_id, at=at + timedelta(seconds=5)) == []
        assert overdue_amendments(order.broker_account_id, at=at + timedelta(seconds=6)) == [order.broker_order_id]


def test_a_book_that_leaves_nothing_in_doubt_costs_one_read(account, sbin, django_assert_num_queries):
    order = see(send(place()), BrokerStatus.OPEN)
    with django_assert_num_queries(1):
        count_misses(order.broker_account_id, set(), begun_at=now() + timedelta(minutes=1), at=now())
    assert fresh(order).complete_misses == 0, "its day is not over: only a late row of the book"
