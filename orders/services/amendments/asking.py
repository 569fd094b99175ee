"""Asking for a change: modifications and cancellations, from the trader's request to the row that waits to be sent.

An amendment is an overlay: the order keeps its confirmed terms until the broker shows the new ones. A
modification that needs more capital reserves it here, before anything is sent; a cheaper one gives back
only when confirmed. What the broker makes of it is `orders.services.amendments.outcomes`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction

from compliance.audit import EventType
from compliance.selectors import lock_tradable_accounts
from oms.lib.actors import Actor
from oms.lib.errors import Conflict, DomainError, Forbidden, NotFound, Stale
from oms.lib.hints import Hint, hint
from oms.lib.ids import new_id
from oms.lib.users import User
from orders.models import Amendment, Order
from orders.services import postings
from orders.services.amendments.judging import Change, judge, listings_around
from orders.services.amendments.outcomes import supersede, take_terms
from orders.services.desk import Desk
from orders.services.endings import progress
from orders.states import ENDED, WORKING, AmendmentEvent, Event, State
from orders.types import Modification

if TYPE_CHECKING:
    from compliance.models import Account


def request_modify(
    order_id: UUID,
    changes: Modification,
    *,
    actor: Actor,
    at: datetime,
    user: User | None,
    expected_version: int | None = None,
    reason: str = "",
) -> Order:
    """Ask for new terms. An order that has not left the house takes them at once.

    Raises NotFound/Forbidden for the account, Stale for an old version, Conflict when the order has ended,
    is being sent or has an amendment under way, DomainError (422) when a rule refuses the new terms,
    Invalid when nothing would change or a price does not belong to the type.
    """
    listings = listings_around(order_id, at=at)
    with transaction.atomic(durable=True):
        accounts = _require_tradable([order_id], user)
        desk = Desk.open([order_id], actor=actor, at=at)
        order = desk.orders[order_id]
        _refuse_stale(order, expected_version)
        _refuse_unmodifiable(desk, order)
        change = judge(desk, order, changes, accounts, listings)
        amendment = _modification(desk, order, change, reason)
        desk.ask(amendment)
        desk.revise(order)
        desk.note(order, EventType.MODIFY_REQUESTED, {**change.old.difference(change.new), "reason": reason})
        reservation = desk.reservations[order.id]
        if change.raises or change.extra_units:
            postings.reserve(desk, order, reservation, change.raises, change.extra_units)
        amendment.held = reservation.reserved
        if order.state == State.CREATED:
            _modify_at_once(desk, order, amendment)
        desk.write()
        hint(Hint.SEND, order.broker_account_id)
    return order


def _modify_at_once(desk: Desk, order: Order, amendment: Amendment) -> None:
    """Nobody but us has the order yet: it takes the new terms, and gives back what they no longer need."""
    if desk.amend(amendment, AmendmentEvent.DONE):
        amendment.sent_at = desk.at
        take_terms(desk, order, amendment.terms)
        postings.lower(desk, order, amendment.held - amendment.need, f"{order.id}:LOWER:{order.version}")


def request_cancels(
    order_ids: Sequence[UUID],
    *,
    actor: Actor,
    at: datetime,
    user: User | None,
    expected_version: int | None = None,
    reason: str = "",
) -> dict[UUID, Order | DomainError]:
    """Ask to cancel orders; for each the order, or why not. Cancels always pass a kill switch.

    What has not left the house is cancelled at once. A cancel already under way is not asked for twice.
    """
    results: dict[UUID, Order | DomainError] = {}
    with transaction.atomic(durable=True):
        _require_tradable(order_ids, user)
        desk = Desk.open(order_ids, actor=actor, at=at)
        for order_id in order_ids:
            try:
                results[order_id] = _cancel(desk, desk.orders.get(order_id), reason, expected_version)
            except DomainError as error:
                results[order_id] = error
        desk.write()
        for broker_account_id in {o.broker_account_id for o in desk.orders.values()}:
            hint(Hint.SEND, broker_account_id)
    return results


def request_cancel(
    order_id: UUID,
    *,
    actor: Actor,
    at: datetime,
    user: User | None,
    expected_version: int | None = None,
    reason: str = "",
) -> Order:
    """Ask to cancel one order. Raises what `request_cancels` would report of it."""
    result = request_cancels(
        [order_id], actor=actor, at=at, user=user, expected_version=expected_version, reason=reason
    )[order_id]
    if isinstance(result, DomainError):
        raise result
    return result


def _cancel(desk: Desk, order: Order | None, reason: str, expected_version: int | None) -> Order:
    if order is None:
        raise NotFound("There is no such order.")
    _refuse_stale(order, expected_version)
    if order.origin == Order.Origin.EXTERNAL:
        raise Forbidden("This order was placed outside: cancel it where it was placed.", code="external_order")
    if order.state in ENDED:
        raise Conflict(f"The order is {order.state} already: there is nothing to cancel.", code="order_ended")
    under_way = desk.open_amendments(order)
    if any(amendment.kind == Amendment.Kind.CANCEL for amendment in under_way):
        return order
    desk.note(order, EventType.CANCEL_REQUESTED, {"reason": reason})
    desk.revise(order)
    for modification in under_way:
        supersede(desk, order, modification)
    if order.state == State.CREATED:
        progress(desk, order, Event.B_CANCEL, {"by": desk.actor.type, "reason": reason})
    else:
        desk.ask(_amendment(desk, order, Amendment.Kind.CANCEL, reason))
    return order


def _require_tradable(order_ids: Sequence[UUID], user: User | None) -> "dict[str, Account]":
    """Lock the orders' accounts (before the orders, as placement does) and check that `user` may trade them."""
    codes = set(Order.objects.filter(pk__in=order_ids).values_list("account__code", flat=True))
    if len(order_ids) == 1 and not codes:
        raise NotFound("There is no such order.")
    return lock_tradable_accounts(codes, user) if codes else {}


def _refuse_stale(order: Order, expected_version: int | None) -> None:
    if expected_version is not None and order.version != expected_version:
        raise Stale(f"You know version {expected_version}, the order is at {order.version}: read it again.")


def _refuse_unmodifiable(desk: Desk, order: Order) -> None:
    if order.origin == Order.Origin.EXTERNAL:
        raise Forbidden("This order was placed outside: change it where it was placed.", code="external_order")
    if order.state in ENDED:
        raise Conflict(f"The order is {order.state} already: it cannot be changed.", code="order_ended")
    if order.state != State.CREATED and order.state not in WORKING:
        detail = "The order is on its way to the broker: change it once it is acknowledged."
        raise Conflict(detail, code="order_in_flight")
    if desk.open_amendments(order):
        raise Conflict("A change of this order is under way: wait for its outcome.", code="amendment_open")
    allowed = order.broker_account.modifications_per_order if order.broker_account else 0
    if order.modifications >= allowed:
        raise DomainError(
            f"The broker allows {allowed} modifications of an order: cancel it and place a new one.",
            code="too_many_modifications",
        )


def _modification(desk: Desk, order: Order, change: Change, reason: str) -> Amendment:
    amendment, new = _amendment(desk, order, Amendment.Kind.MODIFY, reason), change.new
    amendment.quantity, amendment.price, amendment.stop_price = new.quantity, new.price, new.stop_price
    amendment.type, amendment.time_in_force = new.type, new.time_in_force
    amendment.disclosed_quantity = new.disclosed_quantity
    amendment.need, amendment.raised, amendment.extra_units = change.need, change.raises, change.extra_units
    return amendment


def _amendment(desk: Desk, order: Order, kind: Amendment.Kind, reason: str) -> Amendment:
    return Amendment(
        id=new_id(), order_id=order.id, account_id=order.account_id, kind=kind, reason=reason,
        requested_by=f"{desk.actor.type}:{desk.actor.id}", due_at=desk.at, created_at=desk.at, updated_at=desk.at,
    )  # fmt: skip
