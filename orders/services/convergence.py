"""Bringing one order to what the broker says of it: the steps, and why they come in this order.

A row may be old, partial or seen before; whatever the order of arrival, the order ends where the broker's is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from compliance.audit import EventType
from oms.lib.hints import Hint, hint
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.selectors import Known
from orders.services.amendments.changed_elsewhere import adopt_terms, was_changed_since
from orders.services.amendments.outcomes import confirm_modifications, give_back, repeat_cancels
from orders.services.desk import Desk, Refusal
from orders.services.endings import conclude
from orders.services.fills import apply_fills, working_quantity
from orders.states import ENDED, OPEN_AMENDMENTS, TERMINAL, WORKING, Event, State
from orders.types import BrokerStatus, OrderSnapshot, TradeSnapshot, has_other_terms

EVENT_OF = {
    BrokerStatus.PENDING: Event.B_PENDING,
    BrokerStatus.OVERLAY: Event.B_PENDING,
    BrokerStatus.TRIGGER: Event.B_TRIGGER,
    BrokerStatus.OPEN: Event.B_OPEN,
    BrokerStatus.CANCELLED: Event.B_CANCEL,
    BrokerStatus.REJECTED: Event.B_REJECT,
    BrokerStatus.LAPSED: Event.B_EXPIRE,
}


#: The broker's last words: final whatever it counted by then, for only a late fill may still follow.
ENDINGS = frozenset({Event.B_CANCEL, Event.B_REJECT, Event.B_EXPIRE})

#: An order of such a status may still execute.
LIVE_THERE = frozenset(BrokerStatus) - {
    BrokerStatus.COMPLETE, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.LAPSED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Observation:
    """What a broker says of one order: its row, and the trades known for it (perhaps not all yet).

    `looked_at` is when the order itself began to be read; None for a row of a book, which may be a cached copy.
    """

    snapshot: OrderSnapshot
    trades: tuple[TradeSnapshot, ...] = ()
    looked_at: datetime | None = None


@dataclass(slots=True)
class Sight:
    """One order as it is on the desk, beside what the broker says of it.

    `recorded` are its executions so far, `amendments` those that were open when the row was taken up, `was` its
    state then; `grew` says that it executed since, `is_first` that we had no id of the broker's for it until this row.
    """

    desk: Desk
    order: Order
    seen: Observation
    source: str
    recorded: list[Execution]
    amendments: list[Amendment]
    was: State
    grew: bool = False
    is_first: bool = False

    @property
    def snapshot(self) -> OrderSnapshot:
        return self.seen.snapshot

    @property
    def is_behind(self) -> bool:
        """An old row must not end an order; an ending that leaves fewer filled than we know is old."""
        return self.snapshot.filled_quantity < self.order.filled_quantity

    @property
    def event(self) -> Event | None:
        """What the row's status makes happen; of an old row only the broker's last word."""
        event = EVENT_OF.get(self.snapshot.status)
        if event is None and self.is_first:
            return Event.ACK  # whatever the status means, the broker has the order
        return event if event in ENDINGS or not self.is_behind else None


def observe(desk: Desk, order: Order, seen: Observation, recorded: list[Execution], *, source: str) -> None:
    """Bring one locked order to what the broker says of it, step by step (`STEPS`)."""
    sight = Sight(desk, order, seen, source, recorded, desk.open_amendments(order), State(order.state))
    for step in STEPS:
        step(sight)


def _link(sight: Sight) -> None:
    """Take over the broker's ids and words, and keep the row for the timeline when it says something new."""
    order, snapshot = sight.order, sight.snapshot
    news = (snapshot.broker_order_id, snapshot.raw_status, snapshot.exchange_order_id or order.exchange_order_id)
    same = news == (order.broker_order_id, order.broker_status, order.exchange_order_id)
    if sight.is_behind or (same and snapshot.filled_quantity <= order.filled_quantity):
        return
    sight.is_first = not order.broker_order_id
    order.broker_order_id, order.broker_status, order.exchange_order_id = news
    order.complete_misses = 0
    sight.desk.touch(order)
    summary = f"{snapshot.raw_status}, filled {snapshot.filled_quantity:f} of {snapshot.terms.quantity:f}"
    sight.desk.keep(
        BrokerMessage(
            order=order, source=sight.source, summary=summary, raw=snapshot.raw, received_at=sight.desk.at,
        )
    )  # fmt: skip


def _confirm_terms(sight: Sight) -> None:
    looked_at = sight.seen.looked_at
    confirm_modifications(sight.desk, sight.order, sight.snapshot, sight.amendments, looked_at=looked_at)


def _record_fills(sight: Sight) -> None:
    sight.grew = apply_fills(sight.desk, sight.order, sight.snapshot, sight.seen.trades, sight.recorded)


def _give_back(sight: Sight) -> None:
    give_back(sight.desk, sight.order, sight.amendments)


def _notice_other_terms(sight: Sight) -> None:
    """Terms that nobody here asked for: changed in the broker's own app, or by a change that we gave up.

    A row of the book may be an old one, so the order is looked at first; the look decides.
    """
    order, looked_at = sight.order, sight.seen.looked_at
    asked = any(a.kind == Amendment.Kind.MODIFY and a.state in OPEN_AMENDMENTS for a in sight.amendments)
    if asked or order.state not in WORKING or sight.is_behind or not shows_other_terms(order, sight.snapshot):
        return
    if looked_at is None:
        hint(Hint.LOOK, order.broker_account_id, order.broker_order_id)
    elif not was_changed_since(sight.desk, order, looked_at):
        adopt_terms(sight.desk, order, sight.snapshot.terms)


def _follow_status(sight: Sight) -> None:
    event = sight.event
    if event is None:
        return
    order, snapshot = sight.order, sight.snapshot
    order.broker_message = snapshot.message[:500] or order.broker_message
    refusal = Refusal("BROKER", order.broker_message) if event is Event.B_REJECT else None
    change = sight.desk.fire(order, event, _said(sight), refusal=refusal, broker_time=snapshot.broker_time)
    if change is None and sight.is_first and not sight.grew:
        # It had ended here (refused, as we took it) and is at the broker: no change, but on record with the id.
        said = {"state": order.state, **_said(sight)}
        sight.desk.note(order, EventType.ORDER_PLACED, said, broker_time=snapshot.broker_time)


def _complete(sight: Sight) -> None:
    """Nothing is left to execute: because a smaller quantity was confirmed, here or outside this system."""
    order, snapshot = sight.order, sight.snapshot
    quantity = snapshot.terms.quantity
    if snapshot.status is BrokerStatus.COMPLETE and order.filled_quantity == quantity < order.quantity:
        data = {"old": {"quantity": order.quantity}, "new": {"quantity": quantity}, "by": "outside this system"}
        order.quantity = quantity
        sight.desk.note(order, EventType.ORDER_MODIFIED, data)
    if order.filled_quantity >= max(order.quantity, working_quantity(snapshot)):
        sight.desk.fire(order, Event.FILL_FULL, _said(sight), broker_time=snapshot.broker_time)


def _conclude(sight: Sight) -> None:
    conclude(sight.desk, sight.order)


def _repeat_cancels(sight: Sight) -> None:
    repeat_cancels(sight.desk, sight.order, sight.amendments, looked_at=sight.seen.looked_at)


def _warn(sight: Sight) -> None:
    """What a person must look at: a status never seen, an order alive after its end, fills that shrank or came late."""
    desk, order, snapshot = sight.desk, sight.order, sight.snapshot
    if snapshot.status is BrokerStatus.UNHEARD_OF:
        desk.alert(
            order, key=f"status:{snapshot.raw_status}", kind="UNKNOWN_STATUS",
            summary=f"The broker uses a status we have never seen: {snapshot.raw_status!r}; treated as live",
        )  # fmt: skip
    # Ended before this row came: one that its trades fill while the row is still the old one is as it should be.
    if sight.is_first and {sight.was, order.state} <= TERMINAL and snapshot.status in LIVE_THERE:
        desk.alert(
            order, key=f"live-after-end:{order.id}", kind="LIVE_AFTER_END", severity="CRITICAL",
            summary=f"{order} is {order.state} here, and the broker shows it as {snapshot.raw_status} under the id "
            f"{snapshot.broker_order_id}: nothing is reserved for it",
        )  # fmt: skip
    if sight.event in ENDINGS and sight.is_behind and sight.seen.looked_at is not None:
        desk.alert(
            order, key=f"fill-shrank:{order.id}", kind="FILL_SHRANK", severity="CRITICAL",
            summary=f"{order}: the broker counts {snapshot.filled_quantity:f} executed, its trades "
            f"{order.filled_quantity:f}: a trade may have been cancelled by the exchange",
        )  # fmt: skip
    if sight.grew and sight.was in ENDED and sight.was is not State.LOST:
        desk.alert(
            order, key=f"late-fill:{order.id}", kind="LATE_FILL", severity="CRITICAL",
            summary=f"{order} executed after it was {sight.was}",
        )  # fmt: skip


#: What is done with one row, in this order; to swap two of them is to lose money or an order.
STEPS: tuple[Callable[[Sight], None], ...] = (
    _link,  # first, for what follows is on record under the broker's ids
    _confirm_terms,  # before fills, for a row that shows new terms may show their fills as well
    _record_fills,  # before the status, for what executed is ours however the order ends
    _give_back,  # after fills: what executed by then may have been at the old, dearer terms
    _notice_other_terms,
    _follow_status,
    _complete,
    _conclude,  # after all fills and events, for only what none of them used is given back
    _repeat_cancels,
    _warn,
)


def _said(sight: Sight) -> dict[str, object]:
    snapshot = sight.snapshot
    said: dict[str, object] = {
        "broker_order_id": snapshot.broker_order_id, "exchange_order_id": snapshot.exchange_order_id,
        "broker_status": snapshot.raw_status, "message": snapshot.message, "filled": snapshot.filled_quantity,
    }  # fmt: skip
    if snapshot.status is BrokerStatus.CANCELLED:
        cancels = any(a.kind == Amendment.Kind.CANCEL for a in sight.amendments)
        said["by"] = "request" if cancels else "broker or exchange"
    return said


def shows_other_terms(ours: Known | Order, snapshot: OrderSnapshot) -> bool:
    """Whether the broker works other terms than ours; while a change is being validated there it does not say."""
    return snapshot.status not in (BrokerStatus.OVERLAY, BrokerStatus.PENDING) and has_other_terms(
        snapshot.terms, type=ours.type, quantity=ours.quantity, price=ours.price, stop_price=ours.stop_price
    )
