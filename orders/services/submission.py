"""Sending orders: claiming them durably before any broker call, and applying what the call came to.

The task that calls the broker sits between `claim_orders` and `answer_placements`, outside any transaction.
An order is claimed once; whatever happens to the worker after that, nobody sends it again under this row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction

from oms.lib.actors import BROKER, SYSTEM
from oms.lib.db import fetch_rows
from orders.models import BrokerMessage, Order
from orders.order_day import DAY_LASTS, day_parameters
from orders.services import postings
from orders.services.desk import Desk, Refusal
from orders.services.endings import progress
from orders.services.halts import Halt, halts_of
from orders.services.isolation import apply_isolated, sweep_isolated
from orders.services.pacing import take_turn
from orders.states import Event, State
from orders.types import Accepted, NotSent, Outcome, PlaceInstruction, Refused, Side, Unconfirmed, Variety

#: A broker call is bounded by 7 s and tried for 2 s more; an older claim has nobody left to answer for it.
ABANDONED_AFTER = timedelta(seconds=10)
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """One claimed order and what to tell the broker."""

    order_id: UUID
    instruction: PlaceInstruction


def claim_orders(broker_account_id: int, *, limit: int, at: datetime) -> list[Submission]:
    """Claim up to `limit` waiting orders, exits first, then the oldest, and record the attempt; empty when none may go.

    Workers do not wait for each other's rows. Nothing is claimed while the broker session is not open or
    its last poll failed: what we could not watch, we do not send. What this second has no room for waits
    (`pacing`). An order whose day is over is never claimed (see `expire_unsent`). What has been halted meanwhile
    is refused instead of sent.
    """
    with transaction.atomic(durable=True):
        turn = take_turn(broker_account_id, limit=limit, at=at)
        desk = Desk.open(turn.order_ids, actor=SYSTEM, at=at)
        waiting = [desk.orders[pk] for pk in turn.order_ids]
        halts = halts_of(waiting, turn.controls)
        halted = {pk: halt for pk, halt in halts.items() if not _closes(desk.orders[pk], halt)}
        for order in waiting:
            if halt := halted.get(order.id):
                refusal, data = Refusal(halt.code, halt.reason), {"reason": halt.reason, "by": halt.by}
                progress(desk, order, Event.DEF_REJECT, data, refusal=refusal)
            else:
                order.sent_at = at
                progress(desk, order, Event.SUBMIT, {"tag": order.tag, "broker_account": str(broker_account_id)})
        desk.write()
    sent = [order for order in waiting if order.id not in halted]
    return [Submission(order.id, instruction_for(order)) for order in sent]


def _closes(order: Order, halt: Halt) -> bool:
    return halt.lets_reduce and order.reserved_units == order.remaining_quantity


def instruction_for(order: Order) -> PlaceInstruction:
    """The order as the broker must be told it."""
    return PlaceInstruction(
        tag=order.tag or "", variety=Variety(order.variety), exchange=order.exchange, symbol=order.symbol,
        side=Side(order.side), product=order.product, terms=postings.terms_of(order),
        validity_minutes=order.validity_minutes, iceberg_legs=order.iceberg_legs,
        market_protection=order.market_protection, algo_id=order.algo_id,
    )  # fmt: skip


def answer_placements(answers: Sequence[tuple[UUID, Outcome]], *, at: datetime) -> None:
    """Apply what became of sending orders, all in one transaction. The broker may have been observed to have them.

    An answer that cannot be applied loses none of the others: the sweep calls its order unknown. Raises
    OperationalError, when the same may be tried anew.
    """
    apply_isolated(answers, partial(_answer, at=at), give_up=_log_lost_answer)


def answer_place(order_id: UUID, outcome: Outcome, *, at: datetime) -> None:
    """Apply what became of sending one order. Raises whatever goes wrong."""
    with transaction.atomic(durable=True):
        _answer([(order_id, outcome)], at=at)


def _answer(answers: Sequence[tuple[UUID, Outcome]], *, at: datetime) -> None:
    desk = Desk.open([order_id for order_id, _ in answers], actor=BROKER, at=at)
    for order_id, outcome in answers:
        order = desk.orders[order_id]
        match outcome:
            case Accepted(broker_order_id=broker_order_id):
                if not order.broker_order_id:
                    order.broker_order_id = broker_order_id
                    desk.touch(order)
                progress(desk, order, Event.ACK, {"broker_order_id": broker_order_id})
            case Refused(code=code, message=message):
                _refused(desk, order, Refusal(code, message))
            case NotSent(message=message):
                _refused(desk, order, Refusal("NOT_SENT", f"The order was not sent: {message}"))
            case Unconfirmed(message=message):
                progress(desk, order, Event.AMBIGUOUS, {"reason": message})
        desk.keep(answer_message(order, outcome, source=BrokerMessage.Source.PLACE, at=at))
    desk.write()


def _log_lost_answer(answer: tuple[UUID, Outcome], error: Exception) -> None:
    order_id, outcome = answer
    logger.error("answer_not_applied", order_id=str(order_id), outcome=type(outcome).__name__, exc_info=error)


def _refused(desk: Desk, order: Order, refusal: Refusal) -> None:
    data = {"code": refusal.code, "reason": refusal.reason, "by": "broker"}
    progress(desk, order, Event.DEF_REJECT, data, refusal=refusal)


def answer_message(order: Order, outcome: Outcome, *, source: str, at: datetime) -> BrokerMessage:
    """What the broker answered to a call about `order`, to be kept for its timeline."""
    said = outcome.broker_order_id if isinstance(outcome, Accepted) else outcome.message
    summary = f"{type(outcome).__name__}: {said}"[:300]
    return BrokerMessage(order=order, source=source, summary=summary, raw=outcome.raw, received_at=at)


def abandon_submissions(*, at: datetime) -> int:
    """Call unknown what was claimed and never answered for: its worker died. Returns how many were found."""
    rows = fetch_rows(
        # A sum, which no index of instants answers: planned on an empty table it would read every order ever sent.
        "SELECT id FROM orders_order WHERE state = 'SUBMITTING' AND sent_at + %(after)s::interval < %(at)s LIMIT 500",
        {"after": ABANDONED_AFTER, "at": at},
    )
    data = {"reason": "the worker that was sending it died"}
    fire = partial(_fire, was=State.SUBMITTING, event=Event.AMBIGUOUS, data=data, at=at)
    return sweep_isolated([pk for (pk,) in rows], fire)


def expire_unsent(*, at: datetime) -> int:
    """End the orders that were never sent while their day lasted, and give back their capital.

    Their prices are yesterday's: to send them now would be a decision that nobody took. Returns how many were found.
    """
    rows = fetch_rows(
        f"""SELECT o.id FROM orders_order AS o WHERE o.state = 'CREATED' AND o.broker_order_id = ''
             AND NOT ({DAY_LASTS}) LIMIT 500""",  # noqa: S608  no value is in it
        day_parameters(at),
    )
    data = {"reason": "its day ended before it could be sent", "by": "the house"}
    fire = partial(_fire, was=State.CREATED, event=Event.B_EXPIRE, data=data, at=at)
    return sweep_isolated([pk for (pk,) in rows], fire)


def _fire(ids: Sequence[UUID], *, was: State, event: Event, data: dict[str, str], at: datetime) -> None:
    """Fire one event at those orders that are still in that state and that nobody holds."""
    free = fetch_rows(
        """SELECT id FROM orders_order WHERE id = ANY(%(ids)s) AND state = %(was)s
           AND (state <> 'CREATED' OR broker_order_id = '') FOR NO KEY UPDATE SKIP LOCKED""",
        {"ids": list(ids), "was": was},
    )
    desk = Desk.open([pk for (pk,) in free], actor=SYSTEM, at=at)
    for order in desk.orders.values():
        progress(desk, order, event, data)
    desk.write()
