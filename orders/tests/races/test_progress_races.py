"""What a broker says, what a trader asks and what a worker learns, all about one order at one instant."""

import itertools
import threading
from decimal import Decimal as D

import pytest

from compliance.models import Alert
from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.models import Position
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from oms.lib.errors import Conflict
from orders.models import Amendment, Execution, Order
from orders.services import submission
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.sending import claim_amendments
from orders.services.observation import apply_book
from orders.services.submission import abandon_submissions, answer_place, claim_orders
from orders.states import ENDED, OPEN_AMENDMENTS
from orders.tests.factories import TRADER, broker_id, fresh, place, row, see, send, trade
from orders.types import Accepted, BrokerStatus, Modification, OrderType, Unconfirmed


@pytest.fixture(autouse=True)
def _nothing_is_lost_or_doubled(account, sbin):
    yield
    assert trial_balance() == []
    for order in Order.objects.all():
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok
        executed = Execution.objects.filter(order=order, reverses=None, reversed_by=None)
        assert sum(e.quantity for e in executed) == order.filled_quantity
        if order.state in ENDED:
            assert not open_reservations([order.pk]).get(order.pk)
            assert not order.amendments.filter(state__in=OPEN_AMENDMENTS).exists()


class TestClaims:
    def test_two_workers_never_claim_the_same_order(self, broker_account, monkeypatch):
        """The first worker stops inside its claim; the second neither waits for it nor takes what it holds."""
        orders = [place(quantity=D(1)) for _ in range(6)]
        inside, go, original = threading.Event(), threading.Event(), submission.halts_of

        def pause(waiting, controls):
            if not inside.is_set():
                inside.set()
                assert go.wait(10)
            return original(waiting, controls)

        monkeypatch.setattr(submission, "halts_of", pause)
        first: list[object] = []
        thread = threading.Thread(target=self.claim_into, args=(first, broker_account.pk, 4))
        thread.start()
        assert inside.wait(10)
        second = [s.order_id for s in claim_orders(broker_account.pk, limit=10, at=now())]
        go.set()
        thread.join(10)
        assert first == [order.pk for order in orders[:4]]
        assert second == [], "how many of the account's may still leave in this second, only the first knows"
        assert [s.order_id for s in claim_orders(broker_account.pk, limit=10, at=now())] == [o.pk for o in orders[4:]]
        assert set(Order.objects.values_list("state", flat=True)) == {"SUBMITTING"}

    def claim_into(self, found, broker_account_id, limit):
        from django.db import connection

        try:
            found += [s.order_id for s in claim_orders(broker_account_id, limit=limit, at=now())]
        finally:
            connection.close()

    def test_an_order_is_cancelled_or_sent_and_never_both(self, race, account):
        """A cancellation that meets the claim: either it never leaves, or the cancellation is under way to the broker."""
        order = place()

        def claim():
            return [s.order_id for s in claim_orders(order.broker_account_id, limit=1, at=now())]

        def cancel():
            return request_cancel(order.pk, actor=TRADER, at=now(), user=None)

        race(account, cancel, claim, waiting_for=1)
        after = fresh(order)
        if after.state == "CANCELED":
            assert after.sent_at is None
            assert not Amendment.objects.exists()
        else:
            assert (after.state, Amendment.objects.get().kind) == ("SUBMITTING", "CANCEL")


class TestOneOrderFromAllSides:
    """Poll, postback and the answer to placing wait at the order's row together, each having read what it read."""

    @pytest.mark.parametrize("answer", [Accepted, Unconfirmed])
    def test_a_fill_is_booked_once(self, race, answer):
        order = place()
        claim_orders(order.broker_account_id, limit=1, at=now())
        order = fresh(order)
        open_row, part, full = (
            (row(order, BrokerStatus.OPEN), []),
            (row(order, BrokerStatus.OPEN, filled=4), [trade(order, 1, 4)]),
            (row(order, BrokerStatus.COMPLETE, filled=10), [trade(order, 1, 4), trade(order, 2, 6)]),
        )

        def observe(seen, source):
            return lambda: apply_book(order.broker_account_id, [seen[0]], seen[1], at=now(), source=source)

        work = [
            observe(seen, source) for seen, source in itertools.product((open_row, part, full), ("POLL", "POSTBACK"))
        ]
        race(order, *work, lambda: answer_place(order.pk, answer(broker_id(order)), at=now()))
        order = fresh(order)
        assert (order.state, order.filled_quantity, order.broker_order_id) == ("FILLED", 10, broker_id(order))
        assert sorted(Execution.objects.values_list("trade_id", flat=True)) == ["1", "2"]
        assert Position.objects.get().quantity == 10

    def test_a_book_ahead_of_its_trades_and_the_trades_themselves(self, race):
        order = send(place())
        ahead = row(order, BrokerStatus.COMPLETE, filled=10)
        trades = [trade(order, 1, 4), trade(order, 2, 6)]

        def observe(known):
            return lambda: apply_book(order.broker_account_id, [ahead], known, at=now())

        race(order, *[observe(trades[:n]) for n in (0, 1, 2, 0, 1, 2)])
        apply_book(order.broker_account_id, [ahead], trades, at=now())
        order = fresh(order)
        assert (order.state, order.filled_quantity) == ("FILLED", 10)
        standing = Execution.objects.filter(reverses=None, reversed_by=None)
        assert sorted(standing.values_list("trade_id", flat=True)) == ["1", "2"]

    def test_a_sweep_that_gives_up_on_a_worker_that_answers_after_all(self, race):
        from datetime import timedelta

        order = place()
        claim_orders(order.broker_account_id, limit=1, at=now())
        later = now() + timedelta(seconds=30)
        race(
            fresh(order),
            lambda: answer_place(order.pk, Accepted(broker_id(order)), at=later),
            lambda: apply_book(order.broker_account_id, [row(order, BrokerStatus.OPEN, filled=0)], [], at=later),
        )
        abandon_submissions(at=later)
        assert fresh(order).state == "OPEN"


class TestCancelAndFill:
    @pytest.mark.parametrize("units", [4, 10])
    def test_both_are_taken_in(self, race, units):
        order = see(send(place()), BrokerStatus.OPEN)
        status = BrokerStatus.COMPLETE if units == 10 else BrokerStatus.OPEN
        seen, fills = row(order, status, filled=units), [trade(order, 1, units)]
        cancelled, _ = race(
            order,
            lambda: request_cancel(order.pk, actor=TRADER, at=now(), user=None),
            lambda: apply_book(order.broker_account_id, [seen], fills, at=now()),
        )
        after = fresh(order)
        assert after.filled_quantity == units
        if units == 10:
            assert after.state == "FILLED"
            assert isinstance(cancelled, Order | Conflict)
        else:
            assert (after.state, Amendment.objects.get().state) == ("PARTIALLY_FILLED", "QUEUED")

    def test_a_cancelled_row_and_a_late_fill(self, race):
        order = see(send(place()), BrokerStatus.OPEN)
        fills = [trade(order, 1, 4)]
        gone = row(order, BrokerStatus.CANCELLED), []
        late = row(order, BrokerStatus.CANCELLED, filled=4), fills
        race(
            order, *[lambda s=s: apply_book(order.broker_account_id, [s[0]], s[1], at=now()) for s in (gone, late) * 2]
        )
        after = fresh(order)
        assert (after.state, after.filled_quantity) == ("CANCELED", 4)
        assert Alert.objects.filter(kind="LATE_FILL").count() <= 1


def test_modify_and_cancel_that_meet(race, account, portfolio):
    """The cancel wins: a modification before it is overtaken, one after it is refused."""
    order = see(send(place()), BrokerStatus.OPEN)
    portfolio.refresh_from_db()
    reserved = portfolio.reserved
    modified, cancelled = race(
        account,
        lambda: request_modify(order.pk, Modification(quantity=D(20)), actor=TRADER, at=now(), user=None),
        lambda: request_cancel(order.pk, actor=TRADER, at=now(), user=None),
    )
    assert isinstance(cancelled, Order)
    assert isinstance(modified, Order | Conflict)
    (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
    assert dispatch.terms is None
    portfolio.refresh_from_db()
    assert portfolio.reserved == reserved


def test_two_modifications_that_meet_are_one(race, account):
    order = see(send(place()), BrokerStatus.OPEN)

    def modify(price):
        return lambda: request_modify(order.pk, Modification(price=price), actor=TRADER, at=now(), user=None)

    answers = race(account, *[modify(D(990 + n)) for n in range(4)])
    assert sum(isinstance(answer, Order) for answer in answers) == 1
    assert Amendment.objects.count() == 1


def test_two_cancellations_that_meet_are_one(race, account):
    order = see(send(place()), BrokerStatus.OPEN)
    race(account, *[lambda: request_cancel(order.pk, actor=TRADER, at=now(), user=None)] * 4)
    assert Amendment.objects.get().kind == "CANCEL"


def test_two_adopters_make_one_order(race, broker_account):
    ghost = Order(
        tag="", broker_order_id="E1", exchange="NSE", symbol="SBIN", side="BUY", type=OrderType.LIMIT, product="CNC",
        quantity=D(5), price=D(1000), variety="regular", time_in_force="DAY",
    )  # fmt: skip
    seen, fills = row(ghost, BrokerStatus.COMPLETE, filled=5), [trade(ghost, 1, 5)]
    race(broker_account, *[lambda: apply_book(broker_account.pk, [seen], fills, at=now())] * 4)
    order = Order.objects.get()
    assert (order.origin, order.state, order.filled_quantity) == ("EXTERNAL", "FILLED", 5)
    assert Position.objects.get().quantity == 5


def test_an_order_of_ours_is_not_adopted_while_its_answer_is_on_the_way(race):
    """The poll sees it before the worker has written the broker's id: its tag says that it is ours."""
    order = place()
    claim_orders(order.broker_account_id, limit=1, at=now())
    seen = row(fresh(order), BrokerStatus.OPEN)
    race(
        order,
        *[lambda: apply_book(order.broker_account_id, [seen], [], at=now())] * 3,
        lambda: answer_place(order.pk, Accepted(broker_id(order)), at=now()),
    )
    assert Order.objects.get().state == "OPEN"
