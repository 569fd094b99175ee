"""Applying what a broker says of orders: from polls, postbacks and looks alike, in any order, any number of times.

`apply_book` finds what differs from what we hold, locks only that, and applies it in chunks, each one
transaction. A snapshot may be old, partial or doubled; nothing here trusts its timestamps, and a filled
quantity never goes back. What one row does to its order is `orders.services.convergence`.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from oms.lib.actors import BROKER
from oms.lib.db import fetch_models
from orders.models import BrokerMessage, Execution
from orders.selectors import Known, by_order, known_orders, orders_with_unseen_trades
from orders.services.adoption import adopt
from orders.services.amendments.outcomes import FRESH
from orders.services.convergence import Observation, observe, shows_other_terms
from orders.services.desk import Desk
from orders.services.isolation import apply_isolated, report_not_applied
from orders.states import WORKING, State
from orders.types import OrderSnapshot, TradeSnapshot

CHUNK = 250


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
        apply_isolated(
            todo[start : start + CHUNK],
            partial(_apply_chunk, at=at, source=source),
            give_up=partial(_alert_of_lost_row, at=at),
        )
    homeless = {s.broker_order_id for s in snapshots if s.broker_order_id not in known}
    return homeless | {seen.snapshot.broker_order_id for _, seen in todo}


def _alert_of_lost_row(item: tuple[UUID, Observation], error: Exception, *, at: datetime) -> None:
    """One bad row does not blind the whole account; a person must look at it."""
    order_id, seen = item
    said = f"What the broker says of order {seen.snapshot.broker_order_id[:60]}"
    report_not_applied(said, error, key=f"row-not-applied:{order_id}", order_id=order_id, at=at)


def _differs(known: Known, snapshot: OrderSnapshot) -> bool:
    return (
        known.broker_order_id != snapshot.broker_order_id
        or known.broker_status != snapshot.raw_status
        or known.filled_quantity != snapshot.filled_quantity
        or known.exchange_order_id != snapshot.exchange_order_id
        or known.has_open_amendment
        or State(known.state) in _UNSETTLED
        or (known.state in WORKING and shows_other_terms(known, snapshot))
    )


#: States in which even a row that looks the same may have something to say.
_UNSETTLED = frozenset({State.CREATED, State.SUBMITTING, State.UNKNOWN, State.LOST})


def _apply_chunk(todo: Sequence[tuple[UUID, Observation]], *, at: datetime, source: str) -> None:
    executes = any(seen.trades or seen.snapshot.filled_quantity for _, seen in todo)
    desk = Desk.open([pk for pk, _ in todo], actor=BROKER, at=at, executes=executes)
    recorded = _executions_of(list(desk.orders)) if executes else by_order([])
    for pk, seen in todo:
        order = desk.orders[pk]
        if order.broker_order_id in ("", seen.snapshot.broker_order_id):  # else it got another row's id meanwhile
            observe(desk, order, seen, recorded[pk], source=source)
    desk.write()


def _executions_of(order_ids: list[UUID]) -> dict[UUID, list[Execution]]:
    clauses = "WHERE t.order_id = ANY(%(orders)s) ORDER BY t.recorded_at, t.id"
    return by_order(fetch_models(Execution, clauses, {"orders": order_ids}))
