"""What becomes of amendments: confirmed or refused by what the broker shows, or by how the order ended.

HTTP 200 to a modification only means "received"; the truth is the order's row. A row that still shows the
old terms proves nothing while it may be stale, so only a targeted look, some seconds later, refuses.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from compliance.audit import EventType
from oms.lib.money import ZERO, to_paisa
from orders.models import Amendment, BrokerMessage, Order
from orders.services import postings
from orders.services.desk import Desk
from orders.states import AT_BROKER, EFFECT_DUE, ENDED, AmendmentEvent, AmendmentState, State
from orders.types import STOPS, UNPRICED, BrokerStatus, OrderSnapshot, Terms

#: How long the broker may take to show what it received, before a targeted look may conclude that it did not.
SETTLES_WITHIN = timedelta(seconds=5)
#: A cancel that had no effect is sent again; this often, then a person must look.
CANCEL_ATTEMPTS = 5
#: Sources that read one order anew, not a book that may be a cached copy.
FRESH = frozenset({BrokerMessage.Source.POSTBACK, BrokerMessage.Source.LOOK})


def take_terms(desk: Desk, order: Order, new: Terms, **said: object) -> None:
    """Make `new` the order's confirmed terms and put on record what changed, with whatever else is `said`."""
    difference = postings.terms_of(order).difference(new)
    order.quantity, order.price, order.stop_price = new.quantity, new.price, new.stop_price
    order.type, order.time_in_force = new.type, new.time_in_force
    order.disclosed_quantity = new.disclosed_quantity
    desk.revise(order)
    desk.note(order, EventType.ORDER_MODIFIED, {**difference, **said})


def confirm_modifications(
    desk: Desk, order: Order, snapshot: OrderSnapshot, amendments: Sequence[Amendment], *, looked_at: datetime | None
) -> None:
    """Before fills and status are applied: adopt new terms that the broker shows, refuse those it did not take.

    `looked_at` is when a targeted look began; None for a row of the book.
    """
    if snapshot.status is BrokerStatus.OVERLAY:
        return
    for amendment in amendments:
        if amendment.kind != Amendment.Kind.MODIFY or amendment.state not in AT_BROKER:
            continue
        if _shows(snapshot, postings.terms_of(order), amendment.terms):
            _confirm(desk, order, amendment)
        elif _is_overdue(amendment, looked_at):
            refuse(desk, order, amendment, snapshot.message or "The broker did not take the change.")


def repeat_cancels(desk: Desk, order: Order, amendments: Sequence[Amendment], *, looked_at: datetime | None) -> None:
    """After the status was applied: a cancel that had no effect on a working order goes again."""
    for amendment in amendments:
        is_cancel = amendment.kind == Amendment.Kind.CANCEL
        if is_cancel and order.state not in ENDED and _is_overdue(amendment, looked_at):
            _cancel_again(desk, order, amendment)


def close_with(desk: Desk, order: Order) -> None:
    """Close what is still open of an order that has ended. For `orders.services.endings`."""
    for amendment in desk.open_amendments(order):
        _close_with_order(desk, order, amendment)


def supersede(desk: Desk, order: Order, amendment: Amendment) -> None:
    """A cancel overtakes a modification that nobody has sent yet."""
    if desk.amend(amendment, AmendmentEvent.OVERTAKE, message="overtaken by a cancel"):
        desk.note(order, EventType.MODIFY_REJECTED, {"reason": "overtaken by a cancel"})
        _lower(desk, order, amendment, amendment.raised)


def refuse(
    desk: Desk, order: Order, amendment: Amendment, message: str, *, event: AmendmentEvent = AmendmentEvent.GIVE_UP
) -> None:
    """It will not be done: what was reserved for it goes back. Nothing happens to one that is closed already."""
    if not desk.amend(amendment, event, message=message):
        return
    is_modify = amendment.kind == Amendment.Kind.MODIFY
    desk.note(order, EventType.MODIFY_REJECTED if is_modify else EventType.CANCEL_REJECTED, {"reason": message})
    if is_modify:
        _lower(desk, order, amendment, amendment.raised)


def _shows(snapshot: OrderSnapshot, old: Terms, asked: Terms) -> bool:
    """Whether a row shows the terms asked for, and not merely the old ones, which may look much the same."""
    seen = snapshot.terms
    if (seen.quantity, seen.time_in_force, seen.disclosed_quantity) != (
        asked.quantity, asked.time_in_force, asked.disclosed_quantity,
    ):  # fmt: skip
        return False
    if asked.type in UNPRICED:
        # Under market protection the broker turns the type into a priced one at a price of its own.
        return old.type == asked.type or seen.type == asked.type or seen.price != old.price
    return (seen.type, seen.price) == (asked.type, asked.price) and (
        asked.type not in STOPS or seen.stop_price == asked.stop_price
    )


def _is_overdue(amendment: Amendment, looked_at: datetime | None) -> bool:
    """Whether a look began late enough after the call was over to have shown an effect, had there been one.

    While it is still SENDING the call may yet be carried out.
    """
    if looked_at is None or amendment.state not in EFFECT_DUE:
        return False
    return looked_at - amendment.updated_at >= SETTLES_WITHIN


def _confirm(desk: Desk, order: Order, amendment: Amendment) -> None:
    if desk.amend(amendment, AmendmentEvent.DONE, message=""):
        order.modifications += 1
        take_terms(desk, order, amendment.terms)


def give_back(desk: Desk, order: Order, amendments: Iterable[Amendment]) -> None:
    """After fills were applied: what the terms just confirmed no longer need.

    What was executed by then may have been at the old terms, which the reservation still had to pay for.
    """
    for amendment in amendments:
        if amendment.kind == Amendment.Kind.MODIFY and amendment.state == AmendmentState.CONFIRMED:
            _lower(desk, order, amendment, amendment.held - amendment.need)


def _lower(desk: Desk, order: Order, amendment: Amendment, surplus: Decimal) -> None:
    """Give back `surplus` of what was in reserve when the change was asked for, less what fills have used of it.

    A sale from holdings holds no rupees, and gives back units alone.
    """
    if order.state not in ENDED:
        share = desk.reservations[order.id].reserved * surplus / amendment.held if amendment.held else ZERO
        postings.lower(desk, order, to_paisa(share), f"{amendment.id}:LOWER")


def _close_with_order(desk: Desk, order: Order, amendment: Amendment) -> None:
    if amendment.kind == Amendment.Kind.CANCEL and order.state == State.CANCELED:
        desk.amend(amendment, AmendmentEvent.DONE, message="")
    else:
        refuse(desk, order, amendment, f"The order is {order.state}.")


def _cancel_again(desk: Desk, order: Order, amendment: Amendment) -> None:
    if amendment.attempts >= CANCEL_ATTEMPTS:
        refuse(desk, order, amendment, f"No effect after {amendment.attempts} attempts.")
        desk.alert(
            order, key=f"cancel-stuck:{amendment.id}", kind="CANCEL_STUCK", severity="CRITICAL",
            summary=f"{order} cannot be cancelled at the broker",
        )  # fmt: skip
    elif desk.amend(amendment, AmendmentEvent.GO_AGAIN):
        amendment.due_at = desk.at
