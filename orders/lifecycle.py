"""The only place that fires a transition, of an order or of an amendment.

Both functions look the event up in the table and fire the declared transition; `advance` says also what the
audit trail calls it. They write nothing; the desk, their only caller, holds the order's row locked and writes.
"""

from dataclasses import dataclass
from datetime import datetime

from compliance.audit import EventType
from orders.models import Amendment, Order
from orders.states import AMENDMENT_TABLE, ENDED, TABLE, AmendmentEvent, AmendmentState, Event, State


@dataclass(frozen=True, slots=True)
class Change:
    """A transition that was fired: from where, to where, and under which name it is recorded."""

    source: State
    target: State
    recorded_as: EventType

    @property
    def ends(self) -> bool:
        """The order held capital before and no longer may."""
        return self.target in ENDED and self.source not in ENDED

    @property
    def revives(self) -> bool:
        """The order had ended for us and is working after all (it was lost, and turned up)."""
        return self.source in ENDED and self.target not in ENDED

    @property
    def ends_anew(self) -> bool:
        """The order had ended already, and otherwise than we thought (it was cancelled, and turned out filled)."""
        return self.source in ENDED and self.target in ENDED

    def then(self, later: "Change") -> "Change":
        """Both as one."""
        return Change(self.source, later.target, later.recorded_as)


_RECORDED_AS = {
    Event.SUBMIT: EventType.ORDER_SENT,
    Event.ACK: EventType.ORDER_PLACED,
    Event.DEF_REJECT: EventType.ORDER_REJECTED,
    Event.AMBIGUOUS: EventType.SEND_UNCONFIRMED,
    Event.NOT_FOUND: EventType.ORDER_LOST,
    Event.B_PENDING: EventType.ORDER_PLACED,
    Event.B_TRIGGER: EventType.ORDER_TRIGGER_PENDING,
    Event.B_OPEN: EventType.ORDER_OPENED,
    Event.FILL_PART: EventType.ORDER_PARTIALLY_FILLED,
    Event.FILL_FULL: EventType.ORDER_FILLED,
    Event.B_CANCEL: EventType.ORDER_CANCELLED,
    Event.B_REJECT: EventType.ORDER_REJECTED,
    Event.B_EXPIRE: EventType.ORDER_EXPIRED,
}


def advance(order: Order, event: Event, *, at: datetime) -> Change | None:
    """Apply `event` to a locked order. None means that it is stale or a repeat, and nothing changed."""
    source = State(order.state)
    target = TABLE.get((source, event))
    if target is None:
        return None
    getattr(order, event.value)()
    order.ended_at = at if target in ENDED else None
    return Change(source, target, _recorded_as(source, event, target))


def _recorded_as(source: State, event: Event, target: State) -> EventType:
    if event is Event.B_OPEN and source is State.TRIGGER_PENDING:
        return EventType.ORDER_TRIGGERED
    if target is State.CANCELED:
        return EventType.ORDER_CANCELLED
    return _RECORDED_AS[event]


def advance_amendment(amendment: Amendment, event: AmendmentEvent, *, at: datetime) -> bool:
    """Apply `event` to an amendment of a locked order. False means that it is stale or a repeat: nothing changed."""
    if (AmendmentState(amendment.state), event) not in AMENDMENT_TABLE:
        return False
    getattr(amendment, event.value)()
    amendment.steps += 1
    amendment.updated_at = at
    return True
