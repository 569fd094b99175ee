"""Sending amendments: claiming them durably before the broker is called, cancels first, and applying the answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from django.db import transaction

from compliance.audit import EventType
from compliance.services.alerts import resolve_alert
from oms.lib.actors import BROKER, SYSTEM
from oms.lib.db import fetch_rows
from orders.models import Amendment, BrokerMessage, Order
from orders.order_day import is_over
from orders.services.amendments.outcomes import refuse, terms_asked
from orders.services.desk import Desk
from orders.services.halts import Halt, halts_of
from orders.services.postings import terms_of
from orders.services.submission import ABANDONED_AFTER
from orders.states import State as OrderState
from orders.types import SESSION_EXPIRED, Accepted, NotSent, Outcome, Refused, Terms, Unconfirmed, Variety

Kind: TypeAlias = Amendment.Kind
State: TypeAlias = Amendment.State

#: The broker's way of saying that the order is moving right now: look again, then try again.
BEING_PROCESSED = "being processed"
RETRY_AFTER = timedelta(milliseconds=500)
ATTEMPTS = 8
#: What does not get through to the broker is tried at least this often, and somebody is told after so long.
LONGEST_WAIT = timedelta(seconds=8)
HELD_UP_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One claimed amendment and what to tell the broker; `terms` is None for a cancel."""

    amendment_id: UUID
    order_id: UUID
    broker_order_id: str
    variety: Variety
    terms: Terms | None
    market_protection: Decimal | None


def claim_amendments(broker_account_id: int, *, limit: int, at: datetime) -> list[Dispatch]:
    """Claim up to `limit` due amendments of orders that the broker has, cancels first, and record the attempt.

    A modification that a kill switch has caught meanwhile is refused, never a cancel.
    Amendments change only under their order's lock, so the order rows are what is locked and skipped.
    """
    with transaction.atomic(durable=True):
        rows = fetch_rows(
            """SELECT a.id, o.id FROM orders_amendment AS a JOIN orders_order AS o ON o.id = a.order_id
               JOIN orders_brokeraccount AS b ON b.id = o.broker_account_id
               WHERE o.broker_account_id = %(broker)s AND a.state = 'QUEUED' AND a.due_at <= %(at)s
                 AND o.broker_order_id <> '' AND b.session_state = 'OPEN'
                 AND (a.kind = 'CANCEL' OR NOT EXISTS (
                      SELECT 1 FROM orders_amendment AS c
                      WHERE c.order_id = o.id AND c.kind = 'CANCEL'
                        AND c.state IN ('QUEUED', 'SENDING', 'SENT', 'UNKNOWN')))
               ORDER BY a.kind, a.due_at LIMIT %(limit)s FOR NO KEY UPDATE OF o SKIP LOCKED""",
            {"broker": broker_account_id, "at": at, "limit": limit},
        )
        desk = Desk.open([order_id for _, order_id in rows], actor=SYSTEM, at=at)
        queued = Amendment.objects.filter(pk__in=[pk for pk, _ in rows], state=State.QUEUED)
        amendments = list(queued.order_by("kind", "due_at"))
        halted = _refuse_halted(desk, amendments)
        claimed = [_claim(desk, desk.orders[a.order_id], a) for a in amendments if a.id not in halted]
        desk.write()
    return claimed


def _refuse_halted(desk: Desk, amendments: list[Amendment]) -> set[UUID]:
    """Refuse modifications that a switch thrown since they were asked for has caught, and give back; cancels pass."""
    modifies = [amendment for amendment in amendments if amendment.kind == Kind.MODIFY]
    halts = halts_of([desk.orders[amendment.order_id] for amendment in modifies])
    caught = [a for a in modifies if a.order_id in halts and not _passes(desk.orders[a.order_id], a, halts[a.order_id])]
    for amendment in caught:
        refuse(desk, desk.orders[amendment.order_id], amendment, halts[amendment.order_id].reason)
    return {amendment.id for amendment in caught}


def _passes(order: Order, amendment: Amendment, halt: Halt) -> bool:
    """Whether a modification closes a position entirely or only lowers the quantity, where that is let pass."""
    old, new = terms_of(order), terms_asked(order, amendment)
    closes = order.reserved_units >= new.quantity - order.filled_quantity
    lowers = new.quantity < old.quantity and replace(new, quantity=old.quantity) == old
    return halt.lets_reduce and (closes or lowers)


def _claim(desk: Desk, order: Order, amendment: Amendment) -> Dispatch:
    amendment.state, amendment.sent_at = State.SENDING, desk.at
    amendment.attempts += 1
    desk.amend(amendment)
    is_modify = amendment.kind == Kind.MODIFY
    sent = EventType.MODIFY_SENT if is_modify else EventType.CANCEL_SENT
    desk.note(order, sent, {"broker_order_id": order.broker_order_id, "attempt": amendment.attempts})
    return Dispatch(
        amendment_id=amendment.id, order_id=order.id, broker_order_id=order.broker_order_id,
        variety=Variety(order.variety), terms=terms_asked(order, amendment) if is_modify else None,
        market_protection=order.market_protection,
    )  # fmt: skip


def answer_amendments(answers: Sequence[tuple[Dispatch, Outcome]], *, at: datetime) -> None:
    """Apply what became of sending amendments."""
    for dispatch, outcome in answers:
        answer_amendment(dispatch, outcome, at=at)


def answer_amendment(dispatch: Dispatch, outcome: Outcome, *, at: datetime) -> None:
    """Apply what became of sending one amendment. The order's row, seen later, has the last word."""
    with transaction.atomic(durable=True):
        desk = Desk.open([dispatch.order_id], actor=BROKER, at=at)
        order = desk.orders[dispatch.order_id]
        amendment = Amendment.objects.get(pk=dispatch.amendment_id)
        desk.keep(_message(order, amendment, outcome, at))
        if amendment.state == State.SENDING:  # else a poll was quicker
            match outcome:
                case Accepted():
                    amendment.state = State.SENT
                    if amendment.message:
                        resolve_alert(_alert_key(amendment), reason="it got through", at=at)
                case Unconfirmed(message=message):
                    amendment.state, amendment.message = State.UNKNOWN, message[:500]
                case Refused(code=code, message=message) if code == SESSION_EXPIRED:
                    _wait(desk, order, amendment, message)
                case NotSent(message=message) if amendment.kind == Kind.CANCEL:
                    _wait(desk, order, amendment, message)
                case NotSent(message=message):
                    _again(desk, order, amendment, message)
                case Refused(message=message) if BEING_PROCESSED in message:
                    _again(desk, order, amendment, message)
                case Refused(message=message):
                    refuse(desk, order, amendment, message)
            desk.amend(amendment)
        desk.write()


def _again(desk: Desk, order: Order, amendment: Amendment, message: str) -> None:
    if amendment.attempts >= ATTEMPTS:
        refuse(desk, order, amendment, f"{message} ({amendment.attempts} attempts)")
        return
    amendment.state, amendment.message = State.QUEUED, message[:500]
    amendment.due_at = desk.at + RETRY_AFTER * 2 ** min(amendment.attempts - 1, 4)


def _wait(desk: Desk, order: Order, amendment: Amendment, message: str) -> None:
    """It did not reach the broker, which says nothing of the order: it goes as soon as it can, however long that takes.

    The attempt does not count. It waits again as long as it has waited so far, within bounds.
    """
    age = desk.at - amendment.created_at
    amendment.state, amendment.message = State.QUEUED, message[:500]
    amendment.attempts -= 1
    amendment.due_at = desk.at + min(max(age, RETRY_AFTER), LONGEST_WAIT)
    if age >= HELD_UP_AFTER:
        desk.alert(
            order, key=_alert_key(amendment), kind="AMENDMENT_HELD_UP", severity="CRITICAL",
            summary=f"The {amendment.kind} of {order} does not get through to the broker: {message}",
        )  # fmt: skip


def _alert_key(amendment: Amendment) -> str:
    return f"held-up:{amendment.id}"


def _message(order: Order, amendment: Amendment, outcome: Outcome, at: datetime) -> BrokerMessage:
    said = outcome.broker_order_id if isinstance(outcome, Accepted) else outcome.message
    summary = f"{type(outcome).__name__}: {said}"[:300]
    return BrokerMessage(order=order, source=amendment.kind, summary=summary, raw=outcome.raw, received_at=at)


def abandon_amendments(*, at: datetime) -> int:
    """Call unknown what was claimed and never answered for: its worker died. Returns how many."""
    with transaction.atomic(durable=True):
        stale = Amendment.objects.filter(state=State.SENDING, sent_at__lt=at - ABANDONED_AFTER)
        desk = Desk.open(stale.values_list("order_id", flat=True)[:500], actor=SYSTEM, at=at)
        amendments = list(stale.filter(order__in=list(desk.orders)))
        for amendment in amendments:
            amendment.state, amendment.message = State.UNKNOWN, "the worker that was sending it died"
            desk.amend(amendment)
        desk.write()
    return len(amendments)


def close_lost_cancels(*, at: datetime) -> int:
    """Refuse the cancels of lost orders whose day is over: there is nothing left to cancel. Returns how many."""
    with transaction.atomic(durable=True):
        queued = Amendment.objects.filter(state=State.QUEUED, order__state=OrderState.LOST)
        desk = Desk.open(queued.values_list("order_id", flat=True)[:500], actor=SYSTEM, at=at)
        over = [pk for pk, order in desk.orders.items() if order.state == OrderState.LOST and is_over(order, at)]
        amendments = list(queued.filter(order__in=over))
        for amendment in amendments:
            refuse(desk, desk.orders[amendment.order_id], amendment, "The order is lost.")
        desk.write()
    return len(amendments)
