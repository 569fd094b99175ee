"""Applying what a broker says of orders: from polls, postbacks and looks alike, in any order, any number of times.

`apply_book` finds what differs from what we hold, locks only that, and applies it in chunks, each one
transaction. A snapshot may be old, partial or doubled; nothing here trusts its timestamps, and a filled
quantity never goes back.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import OperationalError, transaction

from compliance.audit import EventType
from compliance.services.alerts import raise_alert
from oms.lib.actors import BROKER
from oms.lib.hints import hint
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.selectors import Known, known_orders, orders_with_unseen_trades
from orders.services import postings
from orders.services.adoption import adopt
from orders.services.amendments.changed_elsewhere import adopt_terms, was_changed_since
from orders.services.amendments.outcomes import FRESH, close_amendments, confirm_modifications, give_back
from orders.services.desk import Desk
from orders.services.fills import apply_fills, working_quantity
from orders.states import ENDED, LIVE, OPEN_AMENDMENTS, WORKING, Event, State
from orders.types import BrokerStatus, OrderSnapshot, TradeSnapshot, has_other_terms

CHUNK = 250
logger = structlog.get_logger(__name__)

EVENT_OF = {
    BrokerStatus.PENDING: Event.B_PENDING,
    BrokerStatus.OVERLAY: Event.B_PENDING,
    BrokerStatus.TRIGGER: Event.B_TRIGGER,
    BrokerStatus.OPEN: Event.B_OPEN,
    BrokerStatus.CANCELLED: Event.B_CANCEL,
    BrokerStatus.REJECTED: Event.B_REJECT,
    BrokerStatus.LAPSED: Event.B_EXPIRE,
}


@dataclass(frozen=True, slots=True)
class Observation:
    """What a broker says of one order: its row, and the trades known for it (perhaps not all yet).

    `looked_at` is when the order itself began to be read; None for a row of a book, which may be a cached copy.
    """

    snapshot: OrderSnapshot
    trades: tuple[TradeSnapshot, ...] = ()
    looked_at: datetime | None = None


def apply_book(
    broker_account_id: int,
    snapshots: Sequence[OrderSnapshot],
    trades: Sequence[TradeSnapshot],
    *,
    at: datetime,
    read_at: datetime | None = None,
    source: str = BrokerMessage.Source.POLL,
) -> set[str]:
    """Apply order rows and trades of one broker account; returns the broker order ids of those that said something new.

    `read_at` is when the reading began, `at` unless said: an answer may have been long on its way.
    Rows that are not ours are adopted as EXTERNAL orders first. Applying the same again changes nothing.
    """
    of_order: dict[str, list[TradeSnapshot]] = defaultdict(list)
    for trade in trades:
        of_order[trade.broker_order_id].append(trade)
    known = known_orders(broker_account_id, snapshots)
    strangers = [s for s in snapshots if s.broker_order_id not in known]
    if strangers:
        adopt(broker_account_id, strangers, at=at)
        known = known_orders(broker_account_id, snapshots)
    unseen = orders_with_unseen_trades(broker_account_id, trades)
    looked_at = (read_at or at) if source in FRESH else None
    todo = [
        (known[s.broker_order_id].id, Observation(s, tuple(of_order[s.broker_order_id]), looked_at))
        for s in snapshots
        if s.broker_order_id in known and (s.broker_order_id in unseen or _differs(known[s.broker_order_id], s))
    ]
    todo.sort(key=lambda item: item[0])
    for start in range(0, len(todo), CHUNK):
        _apply_isolated(todo[start : start + CHUNK], at=at, source=source)
    homeless = {s.broker_order_id for s in snapshots if s.broker_order_id not in known}
    return homeless | {seen.snapshot.broker_order_id for _, seen in todo}


def _apply_isolated(todo: Sequence[tuple[UUID, Observation]], *, at: datetime, source: str) -> None:
    """Apply a chunk; when it fails, row by row, so that one bad row does not blind the whole account."""
    try:
        _apply_chunk(todo, at=at, source=source)
    except OperationalError:
        raise  # the database is away, or a lock was not had in time: no row is to blame
    except Exception as error:
        if len(todo) > 1:
            for one in todo:
                _apply_isolated([one], at=at, source=source)
            return
        ((order_id, seen),) = todo
        broker_order_id = seen.snapshot.broker_order_id
        logger.exception("row_not_applied", order_id=str(order_id), broker_order_id=broker_order_id)
        with transaction.atomic(durable=True):
            raise_alert(
                key=f"row-not-applied:{order_id}", kind="ROW_NOT_APPLIED", severity="CRITICAL", at=at,
                order_id=order_id, details={"error": f"{type(error).__name__}: {error}"[:500]},
                summary=f"What the broker says of order {broker_order_id} cannot be applied: {error}",
            )  # fmt: skip


def _differs(known: Known, snapshot: OrderSnapshot) -> bool:
    return (
        known.broker_order_id != snapshot.broker_order_id
        or known.broker_status != snapshot.raw_status
        or known.filled_quantity != snapshot.filled_quantity
        or known.exchange_order_id != snapshot.exchange_order_id
        or known.has_open_amendment
        or State(known.state) in _UNSETTLED
        or (known.state in WORKING and _has_other_terms(known, snapshot))
    )


def _has_other_terms(ours: Known | Order, snapshot: OrderSnapshot) -> bool:
    return snapshot.status not in (BrokerStatus.OVERLAY, BrokerStatus.PENDING) and has_other_terms(
        snapshot.terms, type=ours.type, quantity=ours.quantity, price=ours.price, stop_price=ours.stop_price
    )


#: The broker's last words: final whatever it counted by then, for only a late fill may still follow.
ENDINGS = frozenset({Event.B_CANCEL, Event.B_REJECT, Event.B_EXPIRE})

#: States in which even a row that looks the same may have something to say.
_UNSETTLED = frozenset({State.CREATED, State.SUBMITTING, State.UNKNOWN, State.LOST})


def _apply_chunk(todo: Sequence[tuple[UUID, Observation]], *, at: datetime, source: str) -> None:
    with transaction.atomic(durable=True):
        executes = any(seen.trades or seen.snapshot.filled_quantity for _, seen in todo)
        desk = Desk.open([pk for pk, _ in todo], actor=BROKER, at=at, executes=executes)
        executions = _executions_of(list(desk.orders.values()))
        for pk, seen in todo:
            observe(desk, desk.orders[pk], seen, executions[pk], source=source)
        desk.write()


def _executions_of(orders: Sequence[Order]) -> dict[UUID, list[Execution]]:
    found: dict[UUID, list[Execution]] = defaultdict(list)
    for execution in Execution.objects.filter(order__in=[o.id for o in orders]).order_by("recorded_at", "pk"):
        found[execution.order_id].append(execution)
    return found


def observe(desk: Desk, order: Order, seen: Observation, executions: list[Execution], *, source: str) -> None:
    """Bring one locked order to what the broker says: terms, then executions, then status, then capital."""
    snapshot, before, amendments = seen.snapshot, State(order.state), desk.open_amendments(order)
    if not _is_behind(order, snapshot):
        _link(desk, order, snapshot, source)
    confirm_modifications(desk, order, snapshot, amendments, looked_at=seen.looked_at)
    grew = apply_fills(desk, order, seen.snapshot, seen.trades, executions)
    give_back(desk, order, amendments)
    _notice_other_terms(desk, order, snapshot, amendments, looked_at=seen.looked_at)
    event = EVENT_OF.get(snapshot.status)
    if event is not None and (event in ENDINGS or not _is_behind(order, snapshot)):
        order.broker_message = snapshot.message[:500] or order.broker_message
        if event is Event.B_REJECT and not order.rejection_reason:
            order.rejection_code, order.rejection_reason = "BROKER", order.broker_message
        desk.fire(order, event, _said(snapshot, amendments), broker_time=snapshot.broker_time)
    _complete(desk, order, snapshot)
    if snapshot.status is BrokerStatus.UNHEARD_OF:
        desk.alert(
            order, key=f"status:{snapshot.raw_status}", kind="UNKNOWN_STATUS",
            summary=f"The broker uses a status we have never seen: {snapshot.raw_status!r}; treated as live",
        )  # fmt: skip
    _post_ending(desk, order, before)
    close_amendments(desk, order, amendments, looked_at=seen.looked_at)
    if event in ENDINGS and _is_behind(order, snapshot) and seen.looked_at is not None:
        desk.alert(
            order, key=f"fill-shrank:{order.id}", kind="FILL_SHRANK", severity="CRITICAL",
            summary=f"{order}: the broker counts {snapshot.filled_quantity:f} executed, its trades "
            f"{order.filled_quantity:f}: a trade may have been cancelled by the exchange",
        )  # fmt: skip
    if grew and before in ENDED and before is not State.LOST:
        desk.alert(
            order, key=f"late-fill:{order.id}", kind="LATE_FILL", severity="CRITICAL",
            summary=f"{order} executed after it was {before}",
        )  # fmt: skip


def _link(desk: Desk, order: Order, snapshot: OrderSnapshot, source: str) -> None:
    """Take over the broker's ids and words, and keep the row for the timeline when it says something new."""
    news = (snapshot.broker_order_id, snapshot.raw_status, snapshot.exchange_order_id or order.exchange_order_id)
    if news != (order.broker_order_id, order.broker_status, order.exchange_order_id) or (
        snapshot.filled_quantity > order.filled_quantity
    ):
        order.broker_order_id, order.broker_status, order.exchange_order_id = news
        order.complete_misses = 0
        summary = f"{snapshot.raw_status}, filled {snapshot.filled_quantity:f} of {snapshot.terms.quantity:f}"
        desk.keep(BrokerMessage(order=order, source=source, summary=summary, raw=snapshot.raw, received_at=desk.at))
        desk.touch(order)


def _is_behind(order: Order, snapshot: OrderSnapshot) -> bool:
    """An old row must not end an order; an ending that leaves fewer filled than we know is old."""
    return snapshot.filled_quantity < order.filled_quantity


def _complete(desk: Desk, order: Order, snapshot: OrderSnapshot) -> None:
    """Nothing is left to execute: because a smaller quantity was confirmed, here or outside this system."""
    quantity = snapshot.terms.quantity
    if snapshot.status is BrokerStatus.COMPLETE and order.filled_quantity == quantity < order.quantity:
        data = {"old": {"quantity": order.quantity}, "new": {"quantity": quantity}, "by": "outside this system"}
        order.quantity = quantity
        desk.note(order, EventType.ORDER_MODIFIED, data)
    if order.filled_quantity >= max(order.quantity, working_quantity(snapshot)):
        desk.fire(order, Event.FILL_FULL, _said(snapshot), broker_time=snapshot.broker_time)


def _notice_other_terms(
    desk: Desk, order: Order, snapshot: OrderSnapshot, amendments: Sequence[Amendment], *, looked_at: datetime | None
) -> None:
    """Terms that nobody here asked for: changed in the broker's own app, or by a change that we gave up.

    A row of the book may be an old one, so the order is looked at first; the look decides.
    """
    asked = any(a.kind == Amendment.Kind.MODIFY and a.state in OPEN_AMENDMENTS for a in amendments)
    if asked or order.state not in WORKING or _is_behind(order, snapshot) or not _has_other_terms(order, snapshot):
        return
    if looked_at is None:
        hint("look", order.broker_account_id, order.broker_order_id)
    elif not was_changed_since(order, looked_at):
        adopt_terms(desk, order, snapshot.terms)


def _said(snapshot: OrderSnapshot, amendments: Sequence[Amendment] = ()) -> dict[str, object]:
    cancels = any(a.kind == Amendment.Kind.CANCEL for a in amendments)
    by = {"by": "request" if cancels else "broker or exchange"} if snapshot.status is BrokerStatus.CANCELLED else {}
    return by | {
        "broker_order_id": snapshot.broker_order_id, "exchange_order_id": snapshot.exchange_order_id,
        "broker_status": snapshot.raw_status, "message": snapshot.message, "filled": snapshot.filled_quantity,
    }  # fmt: skip


def _post_ending(desk: Desk, order: Order, before: State) -> None:
    after = State(order.state)
    if before not in ENDED and after in ENDED:
        postings.release(desk, order, failed=after is State.REJECTED)
    elif before in (State.UNKNOWN, State.LOST) and after in LIVE and after is not before:
        postings.reinstate(desk, order, before)
