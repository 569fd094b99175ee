"""What a complete poll does not show: orders of unknown outcome that are not there, and days that are over.

`not_found` needs five complete polls, apart from each other and begun well after the call was over, and one
targeted look. A look-up that failed counts for nothing.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from compliance.selectors import raised_among
from oms.lib.actors import SYSTEM
from oms.lib.db import fetch_rows
from orders import alert_keys
from orders.models import Amendment, Order
from orders.order_day import DAY_LASTS, day_parameters, is_over
from orders.services.amendments.outcomes import SETTLES_WITHIN
from orders.services.desk import Desk
from orders.services.endings import progress
from orders.services.isolation import apply_isolated, report_not_applied
from orders.states import EFFECT_DUE, WORKING, Event, State

#: A poll begun earlier than this after the attempt may simply have been too early.
VISIBLE_WITHIN = timedelta(seconds=5)
COMPLETE_MISSES = 5
#: Hints can make one poll follow the other at once, which proves no more than one of them; a beat is a second.
MISSES_APART = timedelta(seconds=0.9)
LOOKS_PER_CYCLE = 10
# In the statement's text, so that its plan can use the index of live orders.
_WORKING = ", ".join(f"'{state}'" for state in sorted(WORKING))


def count_misses(
    broker_account_id: int,
    shown: Collection[str],
    *,
    begun_at: datetime,
    at: datetime,
    visible_within: timedelta = VISIBLE_WITHIN,
) -> None:
    """Count one complete poll, begun at `begun_at`, against every order that it ought to have shown.

    `shown` are the broker order ids in it. What was sent, or became unknown, less than `visible_within` before need not
    be among them; and of polls that follow each other closer than `MISSES_APART` one counts.
    Working orders of an earlier day that are gone have expired, as far as we know; those of unknown outcome are left
    to an operator. An alert names either.
    """
    doubtful = _doubtful(broker_account_id, sent_before=begun_at - visible_within, at=at)
    absent = [pk for pk, broker_order_id in doubtful if broker_order_id not in shown]
    apply_isolated(
        absent,
        partial(_count, visible_before=begun_at - visible_within, at=at),
        give_up=partial(_alert_of_lost_absence, at=at),
    )


def _count(order_ids: Sequence[UUID], *, visible_before: datetime, at: datetime) -> None:
    desk = Desk.open(order_ids, actor=SYSTEM, at=at)
    missed = [order for order in desk.orders.values() if _is_doubtful(order, at) and _counts(order, visible_before, at)]
    for order in missed:
        order.complete_misses += 1
        desk.touch(order)
    over = [o for o in missed if o.complete_misses >= COMPLETE_MISSES and is_over(o, at)]
    for order in over:
        if order.state != State.UNKNOWN:
            _expire(desk, order)
    _leave_to_an_operator(desk, [order for order in over if order.state == State.UNKNOWN])
    desk.write()


def _counts(order: Order, visible_before: datetime, at: datetime) -> bool:
    """Whether one more miss says anything new. A miss is a change of the row, as becoming unknown was."""
    if order.complete_misses == 0 and order.state == State.UNKNOWN and order.updated_at > visible_before:
        return False  # the call may have lasted for seconds, and reached the broker at its end
    return order.complete_misses == 0 or order.updated_at <= at - MISSES_APART


def _alert_of_lost_absence(order_id: UUID, error: Exception, *, at: datetime) -> None:
    said = f"That the broker does not show order {order_id}"
    report_not_applied(said, error, key=f"row-not-applied:{order_id}", order_id=order_id, at=at)


def _doubtful(broker_account_id: int, *, sent_before: datetime, at: datetime) -> list[tuple[UUID, str]]:
    """Orders that a book says something about by not showing them, as (id, broker order id).

    Those of unknown outcome, and those that work though their day is over: seldom any, whatever the book's length.
    """
    rows = fetch_rows(
        f"""SELECT o.id, o.broker_order_id FROM orders_order AS o
            WHERE o.broker_account_id = %(broker)s AND (o.sent_at IS NULL OR o.sent_at <= %(sent_before)s)
              AND (o.state = 'UNKNOWN' OR o.state IN ({_WORKING}) AND NOT ({DAY_LASTS}))""",  # noqa: S608  no value is in it
        {"broker": broker_account_id, "sent_before": sent_before, **day_parameters(at)},
    )
    return [(pk, broker_order_id) for pk, broker_order_id in rows]


def _is_doubtful(order: Order, at: datetime) -> bool:
    """The same of an order that is locked: it may have been seen, or have ended, since it was read."""
    return order.state == State.UNKNOWN or (order.state in WORKING and is_over(order, at))


def _expire(desk: Desk, order: Order) -> None:
    progress(desk, order, Event.B_EXPIRE, {"reason": "gone from the order book after its day"})
    desk.alert(
        order, key=f"gone:{order.id}", kind="GONE_OVERNIGHT", severity="CRITICAL",
        summary=f"{order} of {order.trade_date} was working when last seen and is taken to have expired: "
        f"compare its {order.filled_quantity:f} executed with the broker's trades of that day",
    )  # fmt: skip


def _leave_to_an_operator(desk: Desk, orders: Sequence[Order]) -> None:
    """Today's book says nothing of another day's orders: the capital stays reserved until somebody knows.

    Said once, though every later poll finds the same.
    """
    keys = {order.id: alert_keys.unresolved(order.id) for order in orders}
    told = raised_among(keys.values())
    for order in orders:
        if keys[order.id] not in told:
            desk.alert(
                order, key=keys[order.id], kind="UNRESOLVED_YESTERDAY", severity="CRITICAL",
                summary=f"Nobody knows whether {order} (tag {order.tag}) of {order.trade_date} reached the broker, "
                "whose book no longer tells: look in its order history of that day; the capital stays reserved until "
                "then",
            )  # fmt: skip


def to_look_for(broker_account_id: int) -> list[tuple[UUID, str]]:
    """Orders that enough complete polls have missed, as (id, tag), newest day first: each deserves a targeted look."""
    rows = Order.objects.filter(
        broker_account_id=broker_account_id, state=State.UNKNOWN, complete_misses__gte=COMPLETE_MISSES
    ).order_by("-trade_date", "sent_at")
    return [(pk, tag or "") for pk, tag in rows.values_list("pk", "tag")[:LOOKS_PER_CYCLE]]


def overdue_amendments(broker_account_id: int, *, at: datetime) -> list[str]:
    """Broker order ids whose amendment the polls have not settled in time: each deserves a targeted look."""
    # In two steps: one join may be planned from the side of the orders, which are all of the broker account's.
    overdue = Amendment.objects.filter(state__in=EFFECT_DUE, sent_at__lt=at - SETTLES_WITHIN)
    orders = Order.objects.filter(
        pk__in=list(overdue.values_list("order_id", flat=True)), broker_account_id=broker_account_id
    ).exclude(broker_order_id="")
    return list(orders.values_list("broker_order_id", flat=True)[:LOOKS_PER_CYCLE])


def mark_lost(order_ids: Iterable[UUID], *, at: datetime) -> int:
    """Declare orders lost that a targeted look did not find either; frees their capital. Returns how many.

    An order of an earlier day is not: what today's book does not show says nothing of it.
    """
    lost: set[UUID] = set()
    apply_isolated(list(order_ids), partial(_lose, lost=lost, at=at), give_up=partial(_alert_of_lost_absence, at=at))
    return len(lost)


def _lose(order_ids: Sequence[UUID], *, lost: set[UUID], at: datetime) -> None:
    desk = Desk.open(order_ids, actor=SYSTEM, at=at)
    orders = [o for o in desk.orders.values() if _may_be_lost(o, at)]
    for order in orders:
        progress(desk, order, Event.NOT_FOUND, {"complete_polls": order.complete_misses, "targeted_looks": 1})
    desk.write()
    lost |= {order.id for order in orders}


def _may_be_lost(order: Order, at: datetime) -> bool:
    return order.state == State.UNKNOWN and order.complete_misses >= COMPLETE_MISSES and not is_over(order, at)
