"""What a complete poll does not show: orders of unknown outcome that are not there, and days that are over.

`not_found` needs five complete polls, begun well after the attempt to send, and one targeted look. A
look-up that failed counts for nothing.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from compliance.selectors import was_raised
from oms.lib.actors import SYSTEM
from orders import alert_keys
from orders.models import Amendment, Order
from orders.order_day import is_over
from orders.selectors import expected_in_book
from orders.services import postings
from orders.services.amendments.outcomes import SETTLES_WITHIN, close_with
from orders.services.desk import Desk
from orders.states import EFFECT_DUE, Event, State

#: A poll begun earlier than this after the attempt may simply have been too early.
VISIBLE_WITHIN = timedelta(seconds=5)
COMPLETE_MISSES = 5
LOOKS_PER_CYCLE = 10


def count_misses(broker_account_id: int, shown: Collection[str], *, begun_at: datetime, at: datetime) -> None:
    """Count one complete poll, begun at `begun_at`, against every order that it ought to have shown.

    `shown` are the broker order ids in it. Working orders of an earlier day that are gone have expired, as far as
    we know; those of unknown outcome are left to an operator. An alert names either.
    """
    with transaction.atomic(durable=True):
        absent = [
            order.pk
            for order in expected_in_book(broker_account_id).only("pk", "broker_order_id", "sent_at")
            if order.broker_order_id not in shown and _was_due(order, begun_at)
        ]
        desk = Desk.open(absent, actor=SYSTEM, at=at)
        over = [o for o in desk.orders.values() if o.state != State.UNKNOWN and is_over(o, at)]
        for order in desk.orders.values():
            if order.state == State.UNKNOWN or order in over:
                order.complete_misses += 1
                desk.touch(order)
            if order in over and order.complete_misses >= COMPLETE_MISSES:
                _expire(desk, order)
            if order.state == State.UNKNOWN and order.complete_misses >= COMPLETE_MISSES and is_over(order, at):
                _leave_to_an_operator(desk, order)
        close_with(desk, over)
        desk.write()


def _was_due(order: Order, begun_at: datetime) -> bool:
    return order.sent_at is None or begun_at - order.sent_at >= VISIBLE_WITHIN


def _expire(desk: Desk, order: Order) -> None:
    desk.fire(order, Event.B_EXPIRE, {"reason": "gone from the order book after its day"})
    postings.release(desk, order)
    desk.alert(
        order, key=f"gone:{order.id}", kind="GONE_OVERNIGHT", severity="CRITICAL",
        summary=f"{order} of {order.trade_date} was working when last seen and is taken to have expired: "
        f"compare its {order.filled_quantity:f} executed with the broker's trades of that day",
    )  # fmt: skip


def _leave_to_an_operator(desk: Desk, order: Order) -> None:
    """Today's book says nothing of another day's orders: the capital stays reserved until somebody knows.

    Said once, though every later poll finds the same.
    """
    key = alert_keys.unresolved(order.id)
    if was_raised(key):
        return
    desk.alert(
        order, key=key, kind="UNRESOLVED_YESTERDAY", severity="CRITICAL",
        summary=f"Nobody knows whether {order} (tag {order.tag}) of {order.trade_date} reached the broker, whose book "
        "no longer tells: look in its order history of that day; the capital stays reserved until then",
    )  # fmt: skip


def to_look_for(broker_account_id: int) -> list[tuple[UUID, str]]:
    """Orders that enough complete polls have missed, as (id, tag), newest day first: each deserves a targeted look."""
    rows = Order.objects.filter(
        broker_account_id=broker_account_id, state=State.UNKNOWN, complete_misses__gte=COMPLETE_MISSES
    ).order_by("-trade_date", "sent_at")
    return [(pk, tag or "") for pk, tag in rows.values_list("pk", "tag")[:LOOKS_PER_CYCLE]]


def overdue_amendments(broker_account_id: int, *, at: datetime) -> list[str]:
    """Broker order ids whose amendment the polls have not settled in time: each deserves a targeted look."""
    rows = Amendment.objects.filter(
        order__broker_account_id=broker_account_id,
        state__in=EFFECT_DUE,
        sent_at__lt=at - SETTLES_WITHIN,
    ).exclude(order__broker_order_id="")
    return list(rows.values_list("order__broker_order_id", flat=True).distinct()[:LOOKS_PER_CYCLE])


def mark_lost(order_ids: Iterable[UUID], *, at: datetime) -> int:
    """Declare orders lost that a targeted look did not find either; frees their capital. Returns how many.

    An order of an earlier day is not: what today's book does not show says nothing of it.
    """
    with transaction.atomic(durable=True):
        desk = Desk.open(order_ids, actor=SYSTEM, at=at)
        orders = [o for o in desk.orders.values() if _may_be_lost(o, at)]
        for order in orders:
            desk.fire(order, Event.NOT_FOUND, {"complete_polls": order.complete_misses, "targeted_looks": 1})
            postings.release(desk, order, failed=True)
        desk.write()
    return len(orders)


def _may_be_lost(order: Order, at: datetime) -> bool:
    return order.state == State.UNKNOWN and order.complete_misses >= COMPLETE_MISSES and not is_over(order, at)
