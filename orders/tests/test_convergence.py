"""Whatever the order of arrival, and however often: we end where the broker is, and no rupee is lost on the way."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from functools import partial

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.models import Alert
from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.models import CapitalEntry, Position
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from orders.models import Amendment, Order
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.sending import Dispatch, answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.services.resolution import COMPLETE_MISSES, mark_lost
from orders.states import ENDED, OPEN_AMENDMENTS
from orders.tests.factories import TRADER, fresh, place, row, see, send, trade
from orders.types import (
    Accepted,
    BrokerStatus,
    Busy,
    LoggedOut,
    Modification,
    NotSent,
    OrderSnapshot,
    Outcome,
    Refused,
    TradeSnapshot,
    Unconfirmed,
)

pytestmark = pytest.mark.django_db

STATUS_OF_STATE = {
    BrokerStatus.COMPLETE: "FILLED",
    BrokerStatus.CANCELLED: "CANCELED",
    BrokerStatus.REJECTED: "REJECTED",
    BrokerStatus.LAPSED: "EXPIRED",
}


#: What a call to the broker may come to. After the first three it may yet take effect, or not.
ANSWERS: dict[str, Outcome | None] = {
    "accepted": Accepted("x"),
    "unconfirmed": Unconfirmed("timed out"),
    "none": None,
    "refused": Refused("InputException", "no"),
    "being processed": Busy("Order is being processed"),
    "not sent": NotSent("connection refused"),
    "session expired": LoggedOut("SESSION", "Incorrect access token"),
}
MAY_TAKE_EFFECT = ("accepted", "unconfirmed", "none")
GO_AGAIN = ("being processed", "not sent", "session expired")
LATER = timedelta(minutes=1)


@dataclass(frozen=True)
class Plan:
    """A life that an order may have at the broker.

    `fills` are units and prices in turn; `modified_after` that many of them a modification to `new_quantity`
    and `new_price` takes effect, if we asked for one and `takes_effect`. `modify_answers` and `cancel_answers`
    are what the attempts to send came to, none when we do not ask.
    """

    fills: tuple[tuple[int, int], ...]
    ending: BrokerStatus
    modify_answers: tuple[str, ...]
    takes_effect: bool
    modified_after: int
    new_quantity: int
    new_price: int
    cancel_answers: tuple[str, ...]


@st.composite
def plans(draw) -> Plan:
    fills = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(950, 1000)), max_size=4))
    filled = sum(units for units, _ in fills)
    answers = draw(st.one_of(st.just(()), attempts()))
    modifies = bool(answers) and answers[-1] in MAY_TAKE_EFFECT and draw(st.booleans())
    after = draw(st.integers(0, len(fills)))
    quantity = draw(st.integers(max(filled, 1), 20)) if answers else 20
    total = quantity if modifies else 20
    endings = [BrokerStatus.CANCELLED, BrokerStatus.LAPSED]
    if not filled:
        endings.append(BrokerStatus.REJECTED)
    ending = BrokerStatus.COMPLETE if filled == total else draw(st.sampled_from(endings))
    price = draw(st.integers(1000, 1050))
    if answers and (quantity, price) == (20, 1000):
        price = 1001
    cancel_answers = draw(st.one_of(st.just(()), attempts()))
    return Plan(tuple(fills), ending, answers, modifies, after, quantity, price, cancel_answers)


@st.composite
def attempts(draw) -> tuple[str, ...]:
    """Attempts that the broker did not take, each sent again, and what the last one came to."""
    return (*draw(st.lists(st.sampled_from(GO_AGAIN), max_size=2)), draw(st.sampled_from(sorted(ANSWERS))))


Seen = tuple[OrderSnapshot, tuple[TradeSnapshot, ...]]


def history_of(order: Order, plan: Plan) -> list[Seen]:
    """Every row that the broker shows over that life, each with the trades known by then."""
    seen: list[Seen] = [(row(order, BrokerStatus.PENDING), ()), (row(order, BrokerStatus.OPEN), ())]
    trades: list[TradeSnapshot] = []
    terms: dict[str, D] = {}
    value = D(0)
    for number in range(len(plan.fills) + 1):
        if plan.takes_effect and plan.modified_after == number:
            seen.append((replace(seen[-1][0], status=BrokerStatus.OVERLAY, raw_status="MODIFY PENDING"), seen[-1][1]))
            terms = {"quantity": D(plan.new_quantity), "price": D(plan.new_price)}
            seen.append((shown(order, BrokerStatus.OPEN, trades, value, terms), tuple(trades)))
        if number < len(plan.fills):
            units, price = plan.fills[number]
            lagging = tuple(trades)
            trades.append(trade(order, number, units, price))
            value += units * price
            now_open = shown(order, BrokerStatus.OPEN, trades, value, terms)
            seen += [(now_open, lagging), (now_open, tuple(trades))]
    seen.append((shown(order, plan.ending, trades, value, terms), tuple(trades)))
    return seen


def shown(
    order: Order, status: BrokerStatus, trades: list[TradeSnapshot], value: D, terms: dict[str, D]
) -> OrderSnapshot:
    filled = sum((t.quantity for t in trades), D(0))
    return row(order, status, filled=filled, average=value / filled if filled else 0, **terms)


@given(plan=plans(), data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_arrival_converges_and_conserves(plan: Plan, data, account, sbin, portfolio):
    with RolledBack():
        order = see(send(place(quantity=D(20), price=D(1000))), BrokerStatus.PENDING)
        answers = ask(order, plan)
        order = fresh(order)
        history = history_of(Order(**snapshot_of(order)), plan)
        repeats = data.draw(st.lists(st.sampled_from(range(len(history))), max_size=4), label="repeats")
        coming = [*(partial(deliver, order, seen) for seen in history), *answers]
        arrivals = data.draw(st.permutations([*range(len(coming)), *repeats]), label="arrivals")
        filled = D(0)
        for index in arrivals:
            coming[index]()
            assert trial_balance() == []
            assert fresh(order).filled_quantity >= filled, "a filled quantity went back"
            filled = fresh(order).filled_quantity
        at_the_broker(order, plan)
        before = (CapitalEntry.objects.count(), order_events(order.pk).count(), fresh(order).version)
        for index in range(len(history)):
            deliver(order, history[index])
        after = (CapitalEntry.objects.count(), order_events(order.pk).count(), fresh(order).version)
        assert after == before, "a full replay changed something"


def ask(order: Order, plan: Plan) -> list[Callable[[], None]]:
    """Ask for what the plan asks for and send it. The last answer of each comes when it comes: as the rows do."""
    coming: list[Callable[[], None]] = []
    if plan.modify_answers:
        changes = Modification(quantity=D(plan.new_quantity), price=D(plan.new_price))
        request_modify(order.pk, changes, actor=TRADER, at=now(), user=None)
        coming += attempt(order, plan.modify_answers)
    if plan.cancel_answers:
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        coming += attempt(order, plan.cancel_answers)
    return coming


def attempt(order: Order, answers: tuple[str, ...]) -> list[Callable[[], None]]:
    """Send an amendment as often as it takes; returns what is still to come, if anything is."""
    at = now()
    *before, last = (ANSWERS[name] for name in answers)
    for outcome in before:
        answer_amendment(claimed(order, at), outcome, at=at)
        at += LATER
    dispatch = claimed(order, at)
    return [] if last is None else [partial(answer_amendment, dispatch, last, at=at)]


def claimed(order: Order, at: datetime) -> Dispatch:
    (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=at)
    return dispatch


def snapshot_of(order: Order) -> dict[str, object]:
    """The order as it was sent: what the broker's history speaks of, whatever we learn later."""
    names = (
        "broker_order_id", "tag", "exchange", "symbol", "side", "product", "variety", "quantity", "price",
        "stop_price", "type", "time_in_force",
    )  # fmt: skip
    return {name: getattr(order, name) for name in names}


def deliver(order: Order, seen: Seen) -> None:
    snapshot, trades = seen
    apply_book(order.broker_account_id, [snapshot], list(trades), at=now())


def at_the_broker(order: Order, plan: Plan) -> None:
    """Compare with the broker's truth."""
    order = fresh(order)
    filled = sum(units for units, _ in plan.fills)
    assert order.state == STATUS_OF_STATE[plan.ending]
    assert order.filled_quantity == filled
    assert order.filled_value == sum(units * price for units, price in plan.fills)
    assert order.state in ENDED
    assert open_reservations([order.pk]).get(order.pk, D(0)) == 0
    became = dict(Amendment.objects.values_list("kind", "state"))
    assert not OPEN_AMENDMENTS & set(became.values())
    assert (became.get("MODIFY") == "CONFIRMED") == plan.takes_effect
    if plan.cancel_answers and plan.cancel_answers[-1] != "refused":
        assert (became["CANCEL"] == "CONFIRMED") == (plan.ending is BrokerStatus.CANCELLED)
    held = Position.objects.filter(instrument=order.instrument).first()
    assert (held.quantity if held else 0) == filled
    report = verify_chain(order_events(order.pk), head=order.event_hash)
    assert report.ok, report.message


class RolledBack:
    """One example's own transaction, which leaves nothing; services may be durable inside it."""

    def __enter__(self) -> None:
        self.atomic = transaction.atomic()
        self.atomic._from_testcase = True
        self.atomic.__enter__()

    def __exit__(self, *error: object) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(*error)


class TestFirstSeenAfterAnUnknownOutcome:
    """The first row of an order whose outcome we do not know names it: whatever its status, the broker has it."""

    @pytest.fixture
    def unknown(self, account, sbin):
        return send(place(), Unconfirmed("timed out"))

    @pytest.mark.parametrize("status", [BrokerStatus.UNHEARD_OF, BrokerStatus.COMPLETE])
    def test_under_a_status_without_an_event_it_is_acknowledged(self, unknown, status):
        order = see(unknown, status)
        assert (order.state, order.broker_order_id) == ("ACKED", f"B-{order.tag}")
        assert order_events(order.pk).last().event_type == "ORDER_PLACED"
        kinds = set(Alert.objects.values_list("kind", flat=True))
        assert "ROW_NOT_APPLIED" not in kinds
        assert ("UNKNOWN_STATUS" in kinds) is (status is BrokerStatus.UNHEARD_OF)
        assert see(order, BrokerStatus.OPEN).state == "OPEN"

    def test_a_lost_one_reserves_again_under_a_status_never_heard_of(self, unknown, portfolio):
        Order.objects.update(complete_misses=COMPLETE_MISSES)
        mark_lost([unknown.pk], at=now())
        order = see(unknown, BrokerStatus.UNHEARD_OF)
        assert order.state == "ACKED"
        portfolio.refresh_from_db()
        assert portfolio.reserved > 10_000
        assert trial_balance() == []

    def test_filled_at_once_it_is_not_acknowledged_afterwards(self, unknown):
        order = see(unknown, BrokerStatus.COMPLETE, [trade(unknown, 1, 10)])
        assert order.state == "FILLED"
        assert "ORDER_PLACED" not in [e.event_type for e in order_events(order.pk)]

    def test_filled_by_its_trades_under_an_older_row_it_alarms_nobody(self, unknown):
        order = see(unknown, BrokerStatus.OPEN, [trade(unknown, 1, 10)])
        assert order.state == "FILLED"
        assert "LIVE_AFTER_END" not in Alert.objects.values_list("kind", flat=True)

    @pytest.mark.parametrize(
        ("status", "alarms"),
        [
            (BrokerStatus.OPEN, True),
            (BrokerStatus.UNHEARD_OF, True),
            (BrokerStatus.REJECTED, False),
            (BrokerStatus.COMPLETE, False),
        ],
    )
    def test_one_that_was_refused_is_on_record_with_its_id(self, status, alarms, account, sbin):
        order = see(send(place(), Refused("InputException", "no")), status)
        assert (order.state, order.broker_order_id) == ("REJECTED", f"B-{order.tag}")
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok
        kinds = set(Alert.objects.values_list("kind", flat=True))
        assert "ROW_NOT_APPLIED" not in kinds
        assert ("LIVE_AFTER_END" in kinds) is alarms
