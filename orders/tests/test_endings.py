"""However an order ends or comes back to life: capital, units, amendments, those who wait, and the record."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import transaction

from compliance.selectors import order_events
from compliance.services.controls import set_kill_switch
from compliance.verification import verify_chain
from ledger.models import CapitalEntry, Position
from ledger.selectors import open_reservations, trial_balance
from ledger.services.holdings import HeldBefore, open_holdings
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.models import Amendment, Order
from orders.services import endings
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.desk import Desk
from orders.services.resolution import COMPLETE_MISSES, count_misses
from orders.services.submission import claim_orders, expire_unsent
from orders.states import ENDED, OPEN_AMENDMENTS, TABLE, TERMINAL, WORKING, Event, State
from orders.tests.factories import TRADER, fresh, place, see, send, trade
from orders.tests.test_state_table import happen, order_in
from orders.types import BrokerStatus, Modification, NotSent, Refused, Side, Unconfirmed

pytestmark = pytest.mark.django_db

MOVES = [(source, event, target) for (source, event), target in TABLE.items() if source in ENDED or target in ENDED]
IDS = [f"{source}-{event.value}" for source, event, _ in MOVES]
FAILS = (State.REJECTED, State.LOST)


@pytest.fixture
def told(monkeypatch):
    """A later part that waits for endings: what it was told, as (order id, from, to, rupees still held then)."""
    heard: list[tuple[object, ...]] = []

    def hook(desk, order, change):
        heard.append((order.pk, change.source, change.target, desk.reservations[order.pk].reserved))

    monkeypatch.setattr(endings, "HOOKS", [hook])
    return heard


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


def held(order):
    return open_reservations([order.pk]).get(order.pk, D(0))


def reserve_statuses(order):
    return sorted(CapitalEntry.objects.filter(order_id=order.pk, kind="RESERVE").values_list("status", flat=True))


def promised():
    return sum((position.reserved_units for position in Position.objects.all()), D(0))


@pytest.mark.parametrize(("source", "event", "target"), MOVES, ids=IDS)
class TestEveryPairThatEndsOrRevives:
    def test_of_an_order_that_holds_rupees(self, source, event, target, told):
        order = order_in(source)
        before = reserve_statuses(order)
        told.clear()
        happen(order, event)
        after = fresh(order)
        assert after.state == target
        if target in ENDED:
            assert held(order) == 0
            status = "FAILED" if target in FAILS else "COMMITTED"
            assert reserve_statuses(order) == (before if source in ENDED else [status])
        else:
            assert held(order) > 0
            assert reserve_statuses(order) == ["FAILED", "PENDING"], "what was given up is reserved anew"
        assert told == [(order.pk, source, target, held(order))]
        assert verify_chain(order_events(order.pk), head=after.event_hash).ok
        assert (after.ended_at is None) == (target not in ENDED)

    def test_of_an_order_that_was_promised_units(self, source, event, target, told):
        open_holdings("DEMO", [HeldBefore("NSE", "SBIN", D(100), D(900))], actor=SYSTEM, at=now())
        order = order_in(source, side=Side.SELL)
        assert promised() == fresh(order).reserved_units == (0 if source in ENDED else 10 - order.filled_quantity)
        happen(order, event)
        after = fresh(order)
        assert after.state == target
        assert promised() == after.reserved_units == (0 if target in ENDED else 10 - after.filled_quantity)


@pytest.mark.parametrize(
    ("source", "event", "target"), [move for move in MOVES if move[0] not in ENDED and move[0] is not State.CREATED]
)
def test_an_ending_closes_what_was_under_way(source, event, target):
    order = order_in(source)
    if source in WORKING:
        request_modify(order.pk, Modification(quantity=D(12)), actor=TRADER, at=now(), user=None)
    else:
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
    (amendment,) = Amendment.objects.all()
    happen(fresh(order), event)
    amendment = Amendment.objects.get()
    assert fresh(order).state == target
    assert (amendment.state in OPEN_AMENDMENTS) == (target not in TERMINAL)
    assert held(order) == 0, "what the modification had raised is given back as well"


# --- what fires several events before anything is given back


def test_a_lost_order_that_turns_out_filled_reserves_nothing_on_the_way(told):
    order = order_in(State.LOST)
    told.clear()
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 4), trade(order, 2, 6)])
    assert told == [(order.pk, "LOST", "FILLED", 0)]
    assert reserve_statuses(order) == ["FAILED"]


def test_a_lost_order_that_turns_out_part_filled_reserves_for_the_rest_alone():
    order = order_in(State.LOST)
    see(order, BrokerStatus.OPEN, [trade(order, 1, 4), trade(order, 2, 2)])
    whole = held(place())
    assert whole * D("0.39") < held(order) < whole * D("0.41")


def test_a_cancellation_gives_back_only_what_its_fills_did_not_use(told, portfolio):
    order = see(send(place()), BrokerStatus.OPEN)
    see(order, BrokerStatus.CANCELLED, [trade(order, 1, 4), trade(order, 2, 3)])
    assert told == [(order.pk, "OPEN", "CANCELED", 0)]
    portfolio.refresh_from_db()
    assert (portfolio.reserved, portfolio.allocated) == (0, 7000)
    names = [event.event_type for event in order_events(order.pk)]
    assert names.count("CAPITAL_RELEASED") == 1
    assert names.index("CAPITAL_RELEASED") > max(n for n, name in enumerate(names) if name == "CAPITAL_ALLOCATED")


def test_an_order_of_unknown_outcome_keeps_its_capital_in_doubt_until_it_is_seen():
    order = send(place(), Unconfirmed("timed out"))
    assert reserve_statuses(order) == ["RECONCILING"]
    see(order, BrokerStatus.OPEN)
    assert reserve_statuses(order) == ["PENDING"]
    assert held(order) > 0


# --- every service in which an order ends


def refused_by_a_rule():
    return place(quantity=D(10_000_000))


def refused_by_the_broker():
    return send(place(), Refused("InputException", "no"))


def never_sent():
    return send(place(), NotSent("no way out"))


def halted_before_it_was_sent():
    order = place()
    set_kill_switch("HOUSE", mode="HALTED", reason="test", user=None, actor=SYSTEM, at=now())
    claim_orders(order.broker_account_id, limit=1, at=now())
    return order


def cancelled_before_it_was_sent():
    return request_cancel(place().pk, actor=TRADER, at=now(), user=None)


def expired_before_it_was_sent():
    order = place()
    assert expire_unsent(at=now() + timedelta(days=5)) == 1
    return order


def gone_overnight():
    order, later = see(send(place()), BrokerStatus.OPEN), now() + timedelta(days=5)
    for number in range(COMPLETE_MISSES):
        at = later + timedelta(seconds=number)
        count_misses(order.broker_account_id, set(), begun_at=at, at=at)
    return order


def not_found():
    return order_in(State.LOST)


def ended_by_the_broker():
    return see(send(place()), BrokerStatus.CANCELLED)


@pytest.mark.parametrize(
    ("way", "state"),
    [
        (refused_by_a_rule, "REJECTED"),
        (refused_by_the_broker, "REJECTED"),
        (never_sent, "REJECTED"),
        (halted_before_it_was_sent, "REJECTED"),
        (cancelled_before_it_was_sent, "CANCELED"),
        (expired_before_it_was_sent, "EXPIRED"),
        (gone_overnight, "EXPIRED"),
        (not_found, "LOST"),
        (ended_by_the_broker, "CANCELED"),
    ],
)
def test_whoever_ends_it_those_who_wait_are_told_once(way, state, told):
    order = fresh(way())
    assert order.state == state
    assert [(pk, target) for pk, _, target, _ in told] == [(order.pk, state)]
    assert held(order) == 0
    assert bool(order.rejection_reason) == (state == "REJECTED")


def test_a_refusal_that_comes_too_late_leaves_no_trace_on_the_order():
    order = place()
    claim_orders(order.broker_account_id, limit=1, at=now())
    see(order, BrokerStatus.OPEN)
    send(order, Refused("InputException", "no"))
    after = fresh(order)
    assert (after.state, after.rejection_code, after.rejection_reason) == ("OPEN", "", "")


def test_the_reason_that_the_house_gave_is_not_overwritten():
    order = send(place(), Refused("InputException", "not enough margin"))
    see(order, BrokerStatus.REJECTED)
    assert fresh(order).rejection_reason == "not enough margin"


def test_nobody_can_forget_it():
    order = place()
    with transaction.atomic():
        desk = Desk.open([order.pk], actor=SYSTEM, at=now())
        desk.fire(desk.orders[order.pk], Event.B_CANCEL)
        with pytest.raises(AssertionError, match=r"endings\.conclude"):
            desk.write()
    assert Order.objects.get().state == "CREATED"
