"""Sending amendments: claiming them durably before the broker is called, cancels first, and applying the answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction

from compliance.audit import EventType
from compliance.selectors import raised_among
from compliance.services.alerts import AlertDraft, raise_alerts, resolve_alerts
from oms.lib.actors import BROKER, SYSTEM
from oms.lib.db import fetch_models, fetch_rows
from orders.models import Amendment, Order
from orders.order_day import is_over
from orders.selectors import HAS_SESSION, OPEN_AMENDMENTS_TEXT
from orders.services.amendments.judging import only_loses_units
from orders.services.amendments.outcomes import refuse
from orders.services.desk import Desk
from orders.services.halts import Halt, halts_of
from orders.services.isolation import apply_isolated, sweep_isolated
from orders.services.postings import terms_of
from orders.services.submission import ABANDONED_AFTER, answer_message
from orders.states import AmendmentEvent, AmendmentState, State
from orders.types import Accepted, Busy, LoggedOut, NotSent, Outcome, Refused, Terms, Unconfirmed, Variety

RETRY_AFTER = timedelta(milliseconds=500)
ATTEMPTS = 8
#: What does not get through to the broker is tried at least this often, and somebody is told after so long.
LONGEST_WAIT = timedelta(seconds=8)
HELD_UP_AFTER = timedelta(seconds=30)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One claimed amendment and what to tell the broker; `terms` is None for a cancel. `attempt` counts its calls."""

    amendment_id: UUID
    attempt: int
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
            f"""SELECT a.id, o.id FROM orders_amendment AS a JOIN orders_order AS o ON o.id = a.order_id
               JOIN orders_brokeraccount AS b ON b.id = o.broker_account_id
               WHERE o.broker_account_id = %(broker)s AND a.state = 'QUEUED' AND a.due_at <= %(at)s
                 AND o.broker_order_id <> '' AND {HAS_SESSION}
                 AND (a.kind = 'CANCEL' OR NOT EXISTS (
                      SELECT 1 FROM orders_amendment AS c
                      WHERE c.order_id = o.id AND c.kind = 'CANCEL' AND c.state IN ({OPEN_AMENDMENTS_TEXT})))
               ORDER BY a.kind, a.due_at LIMIT %(limit)s FOR NO KEY UPDATE OF o SKIP LOCKED""",  # noqa: S608
            {"broker": broker_account_id, "at": at, "limit": limit},
        )
        desk = Desk.open([order_id for _, order_id in rows], actor=SYSTEM, at=at)
        queued = Amendment.objects.filter(pk__in=[pk for pk, _ in rows], state=AmendmentState.QUEUED)
        amendments = list(queued.order_by("kind", "due_at"))
        _refuse_halted(desk, amendments)
        claimed = [_claim(desk, desk.orders[a.order_id], a) for a in amendments if a.state == AmendmentState.QUEUED]
        desk.write()
    return claimed


def _refuse_halted(desk: Desk, amendments: Sequence[Amendment]) -> None:
    """Refuse modifications that a switch thrown since they were asked for has caught, and give back; cancels pass."""
    modifies = [amendment for amendment in amendments if amendment.kind == Amendment.Kind.MODIFY]
    halts = halts_of([desk.orders[amendment.order_id] for amendment in modifies])
    for amendment in modifies:
        order, halt = desk.orders[amendment.order_id], halts.get(amendment.order_id)
        if halt is not None and not _passes(order, amendment, halt):
            refuse(desk, order, amendment, halt.reason)


def _passes(order: Order, amendment: Amendment, halt: Halt) -> bool:
    """Whether a modification closes a position entirely or takes only units away, where that is let pass."""
    closes = order.reserved_units >= amendment.terms.quantity - order.filled_quantity
    return halt.lets_reduce and (closes or only_loses_units(terms_of(order), amendment.terms))


def _claim(desk: Desk, order: Order, amendment: Amendment) -> Dispatch:
    desk.amend(amendment, AmendmentEvent.SEND)
    amendment.sent_at = desk.at
    amendment.attempts += 1
    is_modify = amendment.kind == Amendment.Kind.MODIFY
    sent = EventType.MODIFY_SENT if is_modify else EventType.CANCEL_SENT
    desk.note(order, sent, {"broker_order_id": order.broker_order_id, "attempt": amendment.attempts})
    return Dispatch(
        amendment_id=amendment.id, attempt=amendment.attempts, order_id=order.id,
        broker_order_id=order.broker_order_id, variety=Variety(order.variety),
        terms=amendment.terms if is_modify else None, market_protection=order.market_protection,
    )  # fmt: skip


def answer_amendment(dispatch: Dispatch, outcome: Outcome, *, at: datetime) -> None:
    """Apply what became of sending one amendment; see `answer_amendments`."""
    with transaction.atomic(durable=True):
        _answer([(dispatch, outcome)], at=at)


def answer_amendments(answers: Sequence[tuple[Dispatch, Outcome]], *, at: datetime) -> None:
    """Apply what became of sending amendments, all in one transaction. Each order's row, seen later, has the last word.

    One that cannot be applied loses none of the others: what has no answer is called unknown by the sweep. Raises
    OperationalError, as `orders.services.isolation` says.
    """
    apply_isolated(answers, partial(_answer, at=at), give_up=_leave_unanswered)


def _leave_unanswered(answer: tuple[Dispatch, Outcome], error: Exception) -> None:
    dispatch, outcome = answer
    logger.error(
        "answer_not_applied", amendment_id=str(dispatch.amendment_id), outcome=type(outcome).__name__, exc_info=error
    )


def _answer(answers: Sequence[tuple[Dispatch, Outcome]], *, at: datetime) -> None:
    desk = Desk.open([dispatch.order_id for dispatch, _ in answers], actor=BROKER, at=at)
    ids = {"ids": [dispatch.amendment_id for dispatch, _ in answers]}
    amendments = {a.pk: a for a in fetch_models(Amendment, "WHERE t.id = ANY(%(ids)s)", ids)}
    for dispatch, outcome in answers:
        order, amendment = desk.orders[dispatch.order_id], amendments[dispatch.amendment_id]
        desk.keep(answer_message(order, outcome, source=amendment.kind, at=at))
        if dispatch.attempt == amendment.attempts:  # else that call was given up, and another is under way
            _apply(desk, order, amendment, outcome)
    through = [a for a in amendments.values() if a.state == AmendmentState.SENT and _is_held_up(desk, a)]
    resolve_alerts([_alert_key(amendment) for amendment in through], reason="it got through", at=at)
    desk.write()


def _apply(desk: Desk, order: Order, amendment: Amendment, outcome: Outcome) -> None:
    """Advance the amendment. Nothing happens when a look at the order was quicker than the answer."""
    match outcome:
        case Accepted():
            desk.amend(amendment, AmendmentEvent.RECEIVED, message="")
        case Unconfirmed(message=message):
            desk.amend(amendment, AmendmentEvent.AMBIGUOUS, message=message)
        case LoggedOut(message=message):
            _wait(desk, order, amendment, message)
        case Busy(message=message):
            _try_again(desk, order, amendment, message)
        case NotSent(message=message) if amendment.kind == Amendment.Kind.CANCEL:
            _wait(desk, order, amendment, message)
        case NotSent(message=message):
            _try_again(desk, order, amendment, message)
        case Refused(message=message):
            refuse(desk, order, amendment, message, event=AmendmentEvent.REFUSED)


def _try_again(desk: Desk, order: Order, amendment: Amendment, message: str) -> None:
    """Not now, says the broker: again after a growing pause, so many times."""
    if amendment.attempts >= ATTEMPTS:
        message = f"{message} ({amendment.attempts} attempts)"
        refuse(desk, order, amendment, message, event=AmendmentEvent.REFUSED)
    elif desk.amend(amendment, AmendmentEvent.NOT_TAKEN, message=message):
        amendment.due_at = desk.at + RETRY_AFTER * 2 ** min(amendment.attempts - 1, 4)


def _wait(desk: Desk, order: Order, amendment: Amendment, message: str) -> None:
    """It did not reach the broker, which says nothing of the order: it goes as soon as it can, however long that takes.

    The attempt does not count. It waits again as long as it has waited so far, within bounds.
    """
    if not desk.amend(amendment, AmendmentEvent.NOT_TAKEN, message=message):
        return
    amendment.attempts -= 1
    amendment.due_at = desk.at + min(max(desk.at - amendment.created_at, RETRY_AFTER), LONGEST_WAIT)
    if _is_held_up(desk, amendment):
        desk.alert(
            order, key=_alert_key(amendment), kind="AMENDMENT_HELD_UP", severity="CRITICAL",
            summary=f"The {amendment.kind} of {order} does not get through to the broker: {message}",
        )  # fmt: skip


def _is_held_up(desk: Desk, amendment: Amendment) -> bool:
    return desk.at - amendment.created_at >= HELD_UP_AFTER


def _alert_key(amendment: Amendment) -> str:
    return f"held-up:{amendment.id}"


def abandon_amendments(*, at: datetime) -> int:
    """Call unknown what was claimed and never answered for: its worker died. Returns how many were found."""
    stale = Amendment.objects.filter(state=AmendmentState.SENDING, sent_at__lt=at - ABANDONED_AFTER)

    def abandon(order_ids: Sequence[UUID]) -> None:
        desk = Desk.open(order_ids, actor=SYSTEM, at=at)
        for amendment in stale.filter(order__in=list(desk.orders)):
            desk.amend(amendment, AmendmentEvent.AMBIGUOUS, message="the worker that was sending it died")
        desk.write()

    return sweep_isolated(list(stale.values_list("order_id", flat=True)[:500]), abandon)


def tell_of_held_up(*, at: datetime) -> int:
    """Alert, once each, of amendments that nobody could even try to send for HELD_UP_AFTER: there is no session, or no
    room. Those whose calls fail alert at each attempt (see `_wait`). Returns how many are told of.
    """
    waiting = Amendment.objects.filter(state=AmendmentState.QUEUED, created_at__lt=at - HELD_UP_AFTER)
    held_up = {_alert_key(a): a for a in waiting.exclude(order__broker_order_id="").select_related("order")[:500]}
    new = sorted(held_up.keys() - raised_among(held_up.keys()))
    with transaction.atomic(durable=True):
        raise_alerts([_held_up(held_up[key]) for key in new], at=at)
    return len(new)


def _held_up(amendment: Amendment) -> AlertDraft:
    return AlertDraft(
        key=_alert_key(amendment), kind="AMENDMENT_HELD_UP", severity="CRITICAL",
        account_id=amendment.account_id, order_id=amendment.order_id,
        summary=f"The {amendment.kind} of {amendment.order} waits: log in at the broker, or look why nothing is sent",
    )  # fmt: skip


def close_lost_cancels(*, at: datetime) -> int:
    """Refuse the cancels of lost orders whose day is over: there is nothing left to cancel. Returns how many."""
    queued = Amendment.objects.filter(state=AmendmentState.QUEUED, order__state=State.LOST).select_related("order")

    def close(order_ids: Sequence[UUID]) -> None:
        desk = Desk.open(order_ids, actor=SYSTEM, at=at)
        for order in desk.orders.values():
            for amendment in desk.open_amendments(order) if order.state == State.LOST else ():
                refuse(desk, order, amendment, "The order is lost.")
        desk.write()

    return sweep_isolated([amendment.order_id for amendment in queued[:500] if is_over(amendment.order, at)], close)
