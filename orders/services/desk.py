"""The unit of work of every order service: locked orders, the books, and what is to be written.

A service opens a desk on a list of orders, decides order by order in memory, and writes once: a handful
of set-based statements, whatever the length of the list. Lock order everywhere: orders ascending, then
the books (positions, then capital accounts).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from compliance import audit
from compliance.audit import EventDraft, EventType
from ledger.selectors import instruments_by_id, open_reservations
from ledger.services.books import Books, PositionKey, Reservation
from oms.lib.actors import Actor
from oms.lib.db import fetch_models, insert_rows, one_round_trip, require_transaction, update_rows
from oms.lib.money import ZERO
from orders import lifecycle
from orders.lifecycle import Change
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.states import Event

MUTABLE = (
    "state", "quantity", "price", "stop_price", "type", "time_in_force", "disclosed_quantity", "filled_quantity",
    "filled_value", "charges", "reserved_units", "broker_order_id", "exchange_order_id", "broker_status",
    "broker_message", "rejection_code", "rejection_reason", "version", "modifications", "event_seq", "event_hash",
    "reserve_id", "sent_at", "complete_misses", "updated_at", "ended_at",
)  # fmt: skip
ON_CREATION = (
    "id", "account", "portfolio", "instrument", "broker_account", "origin", "exchange", "symbol", "segment", "side",
    "product", "variety", "validity_minutes", "iceberg_legs", "market_protection", "price_at_entry", "tag",
    "client_order_id", "strategy_id", "algo_id", "notes", "placed_by", "trade_date", "created_at", *MUTABLE,
)  # fmt: skip
EXECUTION_COLUMNS = (
    "id", "order", "account_id", "broker_account", "exchange", "broker_order_id", "trade_id", "trade_date", "side",
    "quantity", "price", "charges", "is_inferred", "reverses", "traded_at", "recorded_at",
)  # fmt: skip
AMENDMENT_COLUMNS = ("state", "attempts", "due_at", "sent_at", "complete_misses", "message", "updated_at")


@dataclass
class Desk:
    """Make one with `Desk.open`, or directly for orders that do not exist yet."""

    actor: Actor
    at: datetime
    orders: dict[UUID, Order] = field(default_factory=dict)
    books: Books | None = None
    reservations: dict[UUID, Reservation] = field(default_factory=dict)
    instruments: dict[int, Any] = field(default_factory=dict)
    _events: list[EventDraft] = field(default_factory=list)
    _new: list[Order] = field(default_factory=list)
    _changed: dict[UUID, Order] = field(default_factory=dict)
    _executions: list[Execution] = field(default_factory=list)
    _messages: list[BrokerMessage] = field(default_factory=list)
    _amendments: dict[UUID, Amendment] = field(default_factory=dict)

    @classmethod
    def open(cls, order_ids: Iterable[UUID], *, actor: Actor, at: datetime) -> "Desk":
        """Lock the orders, ascending. Ids that do not exist are left out."""
        require_transaction()
        ids = sorted(set(order_ids))
        rows = fetch_models(Order, "WHERE t.id = ANY(%(ids)s) ORDER BY t.id FOR NO KEY UPDATE", {"ids": ids})
        return cls(actor=actor, at=at, orders={order.id: order for order in rows})

    def open_books(
        self, orders: Sequence[Order], *, create_positions: bool = False, books: Books | None = None
    ) -> Books:
        """Lock the capital accounts and positions of `orders` (unless `books` has them) and load what each holds."""
        held = open_reservations([order.id for order in orders])
        for order in orders:
            self.reservations[order.id] = Reservation(
                order_id=order.id,
                portfolio_id=order.portfolio_id,
                position_key=position_key(order),
                reserve_id=order.reserve_id,
                reserved=held.get(order.id, ZERO),
                units=order.reserved_units,
            )
        keys = [key for order in orders if (key := position_key(order))]
        self.instruments = instruments_by_id(key[1] for key in keys)
        self.books = books or Books.open(
            portfolio_ids=[order.portfolio_id for order in orders],
            position_keys=keys,
            create_positions=create_positions,
            actor=self.actor,
            at=self.at,
        )
        return self.books

    def instrument_of(self, order: Order) -> Any:
        """The order's instrument, once the books are open; asking for one that is not on file is a fault."""
        assert order.instrument_id is not None
        return self.instruments[order.instrument_id]

    def fire(self, order: Order, event: Event, data: dict[str, Any] | None = None, **kwargs: Any) -> Change | None:
        """Advance the order and record it. None when the event is stale or a repeat."""
        change = lifecycle.advance(order, event, at=self.at)
        if change is not None:
            self.note(order, change.recorded_as, {"state": order.state, **(data or {})}, **kwargs)
        return change

    def note(
        self, order: Order, type: EventType, data: dict[str, Any], *, actor: Actor | None = None, broker_time: str = ""
    ) -> None:
        """Record a fact about the order; the order counts as changed."""
        self._events.append(EventDraft(order, type, data, actor, broker_time))
        self.touch(order)

    def touch(self, order: Order) -> None:
        """The order is to be written."""
        order.updated_at = self.at
        self._changed[order.id] = order

    def add(self, order: Order) -> None:
        """A new order is to be inserted."""
        self._new.append(order)
        self.orders[order.id] = order

    def execute(self, execution: Execution) -> None:
        """A new execution is to be inserted."""
        self._executions.append(execution)

    def keep(self, message: BrokerMessage) -> None:
        """A broker's answer is to be kept for the timeline."""
        self._messages.append(message)

    def amend(self, amendment: Amendment) -> None:
        """A locked amendment is to be written."""
        amendment.updated_at = self.at
        self._amendments[amendment.id] = amendment

    def write(self) -> None:
        """Write everything in one round trip. Events are first, since recording moves the heads that orders carry."""
        with one_round_trip():
            self._send_rows()
        if self._messages:
            BrokerMessage.objects.bulk_create(self._messages)
        if self.books is not None:
            self.books.report()

    def _send_rows(self) -> None:
        audit.record(self._events, actor=self.actor, at=self.at)
        for order in (*self._new, *self._changed.values()):
            reservation = self.reservations.get(order.id)
            if reservation is not None:
                order.reserved_units, order.reserve_id = reservation.units, reservation.reserve_id
        insert_rows(Order, ON_CREATION, self._new)
        new = {order.id for order in self._new}
        update_rows(Order, MUTABLE, [order for pk, order in sorted(self._changed.items()) if pk not in new])
        insert_rows(Execution, EXECUTION_COLUMNS, self._executions)
        update_rows(Amendment, AMENDMENT_COLUMNS, list(self._amendments.values()))
        if self.books is not None:
            self.books.send_rows()


def position_key(order: Order) -> PositionKey | None:
    """Which position the order works on; None for an external order in an instrument we do not know."""
    return None if order.instrument_id is None else (order.portfolio_id, order.instrument_id, order.product)
