"""What a complete poll does not show: orders of unknown outcome that are not there, and days that are over.

`not_found` needs five complete polls, begun well after the attempt to send, and one targeted look. A
look-up that failed counts for nothing.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from oms.lib.actors import SYSTEM
from oms.lib.clock import ist_date
from orders.models import Amendment, Order
from orders.selectors import misplaced
from orders.services import postings
from orders.services.desk import Desk
from orders.services.overlay import SETTLES_WITHIN, close_with
from orders.states import Event, State

#: A poll begun earlier than this after the attempt may simply have been too early.
VISIBLE_WITHIN = timedelta(seconds=5)
COMPLETE_MISSES = 5
LOOKS_PER_CYCLE = 10


def count_misses(broker_account_id: int, shown: Collection[str], *, begun_at: datetime, at: datetime) -> None:
    """Count one complete poll, begun at `begun_at`, against every order that it ought to have shown.

    `shown` are the broker order ids in it. Orders of an earlier day that are gone have expired.
    """
    with transaction.atomic(durable=True):
        absent = [
            order.pk
            for order in misplaced(broker_account_id).only("pk", "broker_order_id", "sent_at")
            if order.broker_order_id not in shown and _was_due(order, begun_at)
        ]
        desk = Desk.open(absent, actor=SYSTEM, at=at)
        over = [o for o in desk.orders.values() if _is_of_an_earlier_day(o, at)]
        if over:
            desk.open_books(over)
        for order in desk.orders.values():
            if order.state == State.UNKNOWN or order in over:
                order.complete_misses += 1
                desk.touch(order)
            if order in over and order.complete_misses >= COMPLETE_MISSES:
                desk.fire(order, Event.B_EXPIRE, {"reason": "gone from the order book after its day"})
                postings.release(desk, order)
        close_with(desk, over)
        desk.write()


def _was_due(order: Order, begun_at: datetime) -> bool:
    return order.sent_at is None or begun_at - order.sent_at >= VISIBLE_WITHIN


def _is_of_an_earlier_day(order: Order, at: datetime) -> bool:
    return order.state != State.UNKNOWN and order.trade_date < ist_date(at)


def to_look_for(broker_account_id: int) -> list[tuple[UUID, str]]:
    """Orders that enough complete polls have missed, as (id, tag): each now deserves one targeted look."""
    rows = Order.objects.filter(
        broker_account_id=broker_account_id, state=State.UNKNOWN, complete_misses__gte=COMPLETE_MISSES
    ).order_by("sent_at")
    return [(pk, tag or "") for pk, tag in rows.values_list("pk", "tag")[:LOOKS_PER_CYCLE]]


def overdue_amendments(broker_account_id: int, *, at: datetime) -> list[str]:
    """Broker order ids whose amendment the polls have not settled in time: each deserves a targeted look."""
    rows = Amendment.objects.filter(
        order__broker_account_id=broker_account_id,
        state__in=[Amendment.State.SENT, Amendment.State.UNKNOWN],
        sent_at__lt=at - SETTLES_WITHIN,
    ).exclude(order__broker_order_id="")
    return list(rows.values_list("order__broker_order_id", flat=True).distinct()[:LOOKS_PER_CYCLE])


def mark_lost(order_ids: Iterable[UUID], *, at: datetime) -> int:
    """Declare orders lost that a targeted look did not find either; frees their capital. Returns how many."""
    with transaction.atomic(durable=True):
        desk = Desk.open(order_ids, actor=SYSTEM, at=at)
        orders = [o for o in desk.orders.values() if o.state == State.UNKNOWN and o.complete_misses >= COMPLETE_MISSES]
        if orders:
            desk.open_books(orders)
        for order in orders:
            desk.fire(order, Event.NOT_FOUND, {"complete_polls": order.complete_misses, "targeted_looks": 1})
            postings.release(desk, order, failed=True)
        desk.write()
    return len(orders)
