"""What a poll need not compare again: the rows of a broker's book that said nothing new the last time.

Only an optimisation, of one process and for one session. A row counts as known once it was compared with what we
hold and nothing came of it; one that differs from then on in anything, or whose order has a change under way, is
compared anew, and from time to time all are.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from orders.types import OrderSnapshot, TradeSnapshot

#: What this overlooks, which should be nothing, is found so much later at most.
FORGET_SECONDS = 30.0


@dataclass
class KnownBook:
    """The rows of one book by broker order id, and its trades by the order that they are of."""

    _orders: dict[str, OrderSnapshot] = field(default_factory=dict)
    _trades: dict[str, list[TradeSnapshot]] = field(default_factory=dict)
    _begun_at: float = field(default_factory=time.monotonic)

    def news(
        self, book: Sequence[OrderSnapshot], trades: Sequence[TradeSnapshot], *, changing: Collection[str]
    ) -> tuple[list[OrderSnapshot], list[TradeSnapshot]]:
        """The rows that are to be compared, each with all its trades. `changing` are always: broker order ids."""
        of_order = _by_order(trades)
        rows = [
            row
            for row in book
            if row.broker_order_id in changing
            or not _same(self._orders.get(row.broker_order_id), row)
            or not _all_same(self._trades.get(row.broker_order_id, ()), of_order.get(row.broker_order_id, ()))
        ]
        return rows, [trade for row in rows for trade in of_order.get(row.broker_order_id, ())]

    def learn(
        self, book: Sequence[OrderSnapshot], trades: Sequence[TradeSnapshot], *, said_something: Collection[str]
    ) -> None:
        """Know these from now on, but for the orders whose rows said something: let us hear whether they do again."""
        if time.monotonic() - self._begun_at > FORGET_SECONDS:
            self._orders, self._trades, self._begun_at = {}, {}, time.monotonic()
            return
        self._orders = {row.broker_order_id: row for row in book if row.broker_order_id not in said_something}
        self._trades = _by_order(trades)


def _by_order(trades: Sequence[TradeSnapshot]) -> dict[str, list[TradeSnapshot]]:
    of_order: dict[str, list[TradeSnapshot]] = defaultdict(list)
    for trade in trades:
        of_order[trade.broker_order_id].append(trade)
    return of_order


def _same(known: OrderSnapshot | None, row: OrderSnapshot) -> bool:
    return known is row or (known == row)


def _all_same(known: Sequence[TradeSnapshot], trades: Sequence[TradeSnapshot]) -> bool:
    return known is trades or list(known) == list(trades)
