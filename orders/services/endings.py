"""Where an order ends, and where it comes back to life: all that follows from a change of its state.

The capital and units that it holds are given back, kept in doubt or reserved again, its open amendments are
closed, and whoever waits for the ending is told. Whatever may move an order's state goes through `progress`;
the desk refuses to write a change that was not concluded here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from compliance.audit import EventType
from ledger.services.books import Status as ReserveStatus
from orders.models import Order
from orders.services import postings
from orders.services.amendments.outcomes import close_with
from orders.services.desk import Desk, Refusal
from orders.states import TERMINAL, Event, State

if TYPE_CHECKING:
    from orders.lifecycle import Change

#: What is called when an order has ended, ended otherwise than we thought, or come back to life: on the open desk,
#: after capital and amendments were seen to.
Hook: TypeAlias = "Callable[[Desk, Order, Change], None]"
#: Where later parts hook in (the other leg of a bracket, the end of the day, settlement), each adding its own when the
#: app is ready. A hook notes and touches what is on this desk; what it reads, it reads for all orders of the desk at
#: once; another order's change is a transaction of its own, after the commit.
HOOKS: list[Hook] = []


def progress(
    desk: Desk,
    order: Order,
    event: Event,
    data: dict[str, Any] | None = None,
    *,
    refusal: Refusal | None = None,
    recorded_as: EventType | None = None,
) -> "Change | None":
    """Fire `event`, as `Desk.fire` does, and do all that the change demands. None when the event is stale."""
    change = desk.fire(order, event, data, refusal=refusal, recorded_as=recorded_as)
    conclude(desk, order)
    return change


def conclude(desk: Desk, order: Order) -> None:
    """Do what the changes fired on the order demand, taken as one.

    For who must fire several and first book what was executed: only what no execution has used may be given back.
    """
    change = desk.take_change(order)
    if change is None:
        return
    _move_capital(desk, order, change)
    if change.target in TERMINAL:  # the cancel of a lost order stays: should the order turn up, it goes at once
        close_with(desk, order)
    if change.ends or change.revives or change.ends_anew:
        _tell_those_who_wait(desk, order, change)


def _move_capital(desk: Desk, order: Order, change: "Change") -> None:
    if change.ends:
        postings.release(desk, order, failed=change.target in (State.REJECTED, State.LOST))
    elif change.revives:
        postings.reserve_again(desk, order)
    elif change.target is State.UNKNOWN:
        desk.books.mark_reserve(desk.reservations[order.id], ReserveStatus.RECONCILING)
    elif change.source is State.UNKNOWN:
        desk.books.mark_reserve(desk.reservations[order.id], ReserveStatus.PENDING)


def _tell_those_who_wait(desk: Desk, order: Order, change: "Change") -> None:
    for hook in HOOKS:
        hook(desk, order, change)
