"""The order book in memory, and the unit of work that writes its changes before they are known.

Belongs here: holding orders, recording status changes, handing out rows and updates. Deciding what
changes is the work of `exchange`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from .account import Account
from .orders import Order
from .store import Store


@dataclass(frozen=True, slots=True)
class Update:
    """News of an order for postbacks and sockets: `event` is OPEN, UPDATE or a terminal status."""

    order_id: str
    user_id: str
    api_key: str
    event: str
    row: dict[str, Any]


class Book:
    """Today's orders and those still live."""

    def __init__(self, store: Store, publish: Callable[[Update], None]) -> None:
        self._store, self._publish = store, publish
        self.orders: dict[str, Order] = {}
        self.by_user: dict[str, dict[str, Order]] = {}
        self.resting: dict[int, dict[str, Order]] = {}
        self._rows: dict[str, bytes] = {}
        self._changed: dict[str, Order] = {}
        self._accounts: dict[str, Account] = {}
        self._history: list[tuple[str, bytes]] = []
        self._trades: list[tuple[Order, dict[str, Any], str]] = []
        self._updates: list[Update] = []

    def load(self, orders: list[Order]) -> None:
        """Take over the orders of the store."""
        for order in orders:
            self._hold(order)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Everything recorded inside is written in one transaction, then published."""
        try:
            yield
            with self._store.unit():
                for order in self._changed.values():
                    self._store.save_order(order)
                for order_id, row in self._history:
                    self._store.add_history(order_id, row)
                for trade in self._trades:
                    self._store.add_trade(*trade)
                for account in self._accounts.values():
                    self._store.put(f"client:{account.user_id}", account.state())
            for order in self._changed.values():
                self._hold(order)
            updates = list(self._updates)
        finally:
            for pile in (self._changed, self._history, self._trades, self._accounts, self._updates):
                pile.clear()
        for update in updates:
            self._publish(update)

    def advance(self, order: Order, status: str, message: str | None = None, raw: str | None = None) -> None:
        """Record a status; with the present one, a change of figures."""
        order.status, order.status_message, order.status_message_raw = status, message, raw
        self._changed[order.order_id] = order
        self._history.append((order.order_id, order.history_row()))

    def tell(self, order: Order, event: str) -> None:
        """Let postbacks and sockets know once the unit is written."""
        self._updates.append(Update(order.order_id, order.user_id, order.api_key, event, order.row()))

    def touch(self, account: Account) -> None:
        """The account changed and is to be written."""
        self._accounts[account.user_id] = account

    def add_trade(self, order: Order, row: dict[str, Any], day: str) -> None:
        """Record a trade."""
        self._trades.append((order, row, day))

    def rows(self, user_id: str) -> bytes:
        """A client's order book as a JSON array, oldest first."""
        return b"[" + b",".join(self._row(order) for order in self.by_user.get(user_id, {}).values()) + b"]"

    def live(self) -> list[Order]:
        """Orders that are not over."""
        return [order for order in self.orders.values() if order.is_live]

    def forget(self, day: str) -> None:
        """Leave only orders that are live, are yet to fill, or belong to `day`."""
        for order in list(self.orders.values()):
            if order.is_live or order.ghost or order.day == day:
                continue
            del self.orders[order.order_id]
            del self.by_user[order.user_id][order.order_id]
            self._rows.pop(order.order_id, None)

    def clear(self) -> None:
        """Forget all orders."""
        for table in (self.orders, self.by_user, self.resting, self._rows):
            table.clear()

    def _hold(self, order: Order) -> None:
        self._rows.pop(order.order_id, None)
        self.orders[order.order_id] = order
        self.by_user.setdefault(order.user_id, {})[order.order_id] = order
        resting = self.resting.setdefault(order.instrument_token, {})
        if order.resting:
            resting[order.order_id] = order
        else:
            resting.pop(order.order_id, None)

    def _row(self, order: Order) -> bytes:
        if order.order_id not in self._rows:
            self._rows[order.order_id] = orjson.dumps(order.row())
        return self._rows[order.order_id]
