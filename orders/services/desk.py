"""The unit of work of every order service: locked orders, what they hold, and what is to be written.

A service opens a desk on a list of orders, decides order by order in memory, and writes once: a handful
of set-based statements, whatever the length of the list. What belongs to the orders (their books, their
open amendments) is read for all of them at once, when it is first asked for. Lock order everywhere: orders
ascending, then the books (positions, then capital accounts).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from compliance import audit
from compliance.audit import EventDraft, EventType
from compliance.services.alerts import AlertDraft, raise_alerts
from ledger.selectors import instruments_by_id, reserved_for
from ledger.services.books import Books, PositionKey, Reservation
from ledger.services.locking import books_locked, missing_positions_made
from oms.lib.actors import Actor
from oms.lib.db import (
    Read,
    fetch_models,
    fetch_rows,
    insert_rows,
    one_round_trip,
    read_all,
    require_transaction,
    update_rows,
)
from oms.lib.money import ZERO
from orders import lifecycle
from orders.models import Amendment, BrokerMessage, Execution, Order
from orders.selectors import by_order
from orders.states import OPEN_AMENDMENTS, AmendmentEvent, Event

if TYPE_CHECKING:
    from ledger.models import Instrument
    from orders.lifecycle import Change

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
MESSAGE_COLUMNS = ("id", "order", "source", "summary", "raw", "received_at")
AMENDMENT_COLUMNS = ("state", "steps", "attempts", "due_at", "sent_at", "message", "updated_at")
AMENDMENT_ON_ASKING = tuple(column.name for column in Amendment._meta.concrete_fields)


class Refusal(NamedTuple):
    """Why an order was refused: a code for programs, a reason for people."""

    code: str
    reason: str


@dataclass
class Desk:
    """Make one with `Desk.open`, or directly for orders that do not exist yet.

    `executes` says that executions may be booked: positions that do not exist yet are made with the books.
    """

    actor: Actor
    at: datetime
    executes: bool = False
    orders: dict[UUID, Order] = field(default_factory=dict)
    _books: Books | None = None
    _reservations: dict[UUID, Reservation] = field(default_factory=dict)
    _instruments: "dict[int, Instrument]" = field(default_factory=dict)
    _open_amendments: dict[UUID, list[Amendment]] | None = None
    _amended_at: dict[UUID, datetime] | None = None
    _events: list[EventDraft] = field(default_factory=list)
    _new: list[Order] = field(default_factory=list)
    _changed: dict[UUID, Order] = field(default_factory=dict)
    _fired: "dict[UUID, Change]" = field(default_factory=dict)
    _executions: list[Execution] = field(default_factory=list)
    _messages: list[BrokerMessage] = field(default_factory=list)
    _asked: list[Amendment] = field(default_factory=list)
    _amended: dict[UUID, Amendment] = field(default_factory=dict)
    _alerts: list[AlertDraft] = field(default_factory=list)

    @classmethod
    def open(cls, order_ids: Iterable[UUID], *, actor: Actor, at: datetime, executes: bool = False) -> "Desk":
        """Lock the orders, ascending. Ids that do not exist are left out."""
        require_transaction()
        ids = sorted(set(order_ids))
        rows = fetch_models(Order, "WHERE t.id = ANY(%(ids)s) ORDER BY t.id FOR NO KEY UPDATE", {"ids": ids})
        return cls(actor=actor, at=at, executes=executes, orders={order.id: order for order in rows})

    @property
    def books(self) -> Books:
        """The books of all orders on the desk: locked and loaded when first asked for."""
        return self._books or self._open_books()

    @property
    def reservations(self) -> dict[UUID, Reservation]:
        """What each order on the desk holds of the books. Opens them."""
        if self._books is None:
            self._open_books()
        return self._reservations

    def instrument_of(self, order: Order) -> "Instrument":
        """The order's instrument. Opens the books; asking for one that is not on file is a fault."""
        if self._books is None:
            self._open_books()
        assert order.instrument_id is not None
        return self._instruments[order.instrument_id]

    def bring(self, books: Books) -> None:
        """Work on books that the caller has opened, instead of opening them; they cover all orders on the desk."""
        self._books = books
        if self.orders:
            self._hold(*read_all(*self._holdings_reads()))

    def _open_books(self) -> Books:
        """Lock and read all that belongs to the books, in one round trip."""
        require_transaction()
        orders = self.orders.values()
        keys = {key for order in orders if (key := position_key(order))}
        made = [missing_positions_made(keys, self.at)] if self.executes and keys else []
        *_, positions, portfolios, held, instruments = read_all(
            *made, *books_locked([order.portfolio_id for order in orders], keys), *self._holdings_reads()
        )
        self._books = Books.of(positions, portfolios, actor=self.actor, at=self.at)
        self._hold(held, instruments)
        return self._books

    def _holdings_reads(self) -> "tuple[Read[dict[UUID, Decimal]], Read[dict[int, Instrument]]]":
        return reserved_for(list(self.orders)), instruments_by_id(o.instrument_id for o in self.orders.values())

    def _hold(self, held: "Mapping[UUID, Decimal]", instruments: "dict[int, Instrument]") -> None:
        self._instruments = instruments
        for order in self.orders.values():
            if order.id in self._reservations:
                continue
            self._reservations[order.id] = Reservation(
                order_id=order.id,
                portfolio_id=order.portfolio_id,
                position_key=position_key(order),
                reserve_id=order.reserve_id,
                reserved=held.get(order.id, ZERO),
                units=order.reserved_units,
            )

    def open_amendments(self, order: Order) -> list[Amendment]:
        """Those of the order's amendments that are still open, oldest first. One query for all orders on the desk."""
        if self._open_amendments is None:
            self._open_amendments = self._load_amendments()
        return [a for a in self._open_amendments[order.id] if a.state in OPEN_AMENDMENTS]

    def _load_amendments(self) -> dict[UUID, list[Amendment]]:
        rows: list[Amendment] = []
        if ids := self.orders.keys() - {order.id for order in self._new}:
            rows = fetch_models(
                Amendment,
                "WHERE t.order_id = ANY(%(orders)s) AND t.state = ANY(%(open)s) ORDER BY t.created_at, t.id",
                {"orders": list(ids), "open": sorted(OPEN_AMENDMENTS)},
            )
        # One that a service has read and changed already is the one that counts.
        return by_order(self._amended.get(amendment.id, amendment) for amendment in (*rows, *self._asked))

    def amended_at(self, order: Order) -> datetime | None:
        """When an amendment of the order was last sent, if ever. One query for all orders on the desk."""
        if self._amended_at is None:
            rows = fetch_rows(
                """SELECT order_id, max(sent_at) FROM orders_amendment
                   WHERE order_id = ANY(%(orders)s) AND sent_at IS NOT NULL GROUP BY order_id""",
                {"orders": list(self.orders)},
            )
            self._amended_at = dict(rows)
        return self._amended_at.get(order.id)

    def fire(
        self,
        order: Order,
        event: Event,
        data: dict[str, Any] | None = None,
        *,
        refusal: Refusal | None = None,
        recorded_as: EventType | None = None,
        actor: Actor | None = None,
        broker_time: str = "",
    ) -> "Change | None":
        """Advance the order and record it. None when the event is stale or a repeat, and then no `refusal` is kept.

        What has a name of its own (`recorded_as`) is a fact that is recorded even where it leaves the state as it
        was: a further part of an order that is part-filled already. What a change demands beyond the order itself
        is done by `orders.services.endings`, which most services call instead of this.
        """
        change = lifecycle.advance(order, event, at=self.at)
        if change is not None:
            self.revise(order)
            earlier = self._fired.get(order.id)
            self._fired[order.id] = earlier.then(change) if earlier else change
            if refusal is not None and not order.rejection_reason:
                order.rejection_code, order.rejection_reason = refusal.code[:40], refusal.reason[:500]
        name = recorded_as or (change.recorded_as if change else None)
        if name is not None:
            self.note(order, name, {"state": order.state, **(data or {})}, actor=actor, broker_time=broker_time)
        return change

    def take_change(self, order: Order) -> "Change | None":
        """What was fired on the order since this was last asked, as one change. For `orders.services.endings`."""
        return self._fired.pop(order.id, None)

    def revise(self, order: Order) -> None:
        """The order is no longer what its readers know: the version that they name must be a new one."""
        order.version += 1
        self.touch(order)

    def note(
        self, order: Order, type: EventType, data: dict[str, Any], *, actor: Actor | None = None, broker_time: str = ""
    ) -> None:
        """Record a fact about the order; the order counts as changed."""
        self._events.append(EventDraft(order, type, data, actor or self.actor, broker_time))
        self.touch(order)

    def touch(self, order: Order) -> None:
        """The order is to be written."""
        order.updated_at = self.at
        self._changed[order.id] = order

    def act_for(self, actor: Actor) -> None:
        """From here on it is `actor` who acts: in the events, and in the entries of the books."""
        self.actor = actor
        if self._books is not None:
            self._books.actor = actor

    def add(self, order: Order) -> None:
        """A new order is to be inserted. It holds nothing yet."""
        self._new.append(order)
        self.orders[order.id] = order
        self._reservations[order.id] = Reservation(order.id, order.portfolio_id, position_key(order))

    def execute(self, execution: Execution) -> None:
        """A new execution is to be inserted."""
        self._executions.append(execution)

    def keep(self, message: BrokerMessage) -> None:
        """A broker's answer is to be kept for the timeline."""
        self._messages.append(message)

    def ask(self, amendment: Amendment) -> None:
        """A new amendment is to be inserted, as it is by the time of writing."""
        self._asked.append(amendment)
        if self._open_amendments is not None:
            self._open_amendments[amendment.order_id].append(amendment)

    def amend(self, amendment: Amendment, event: AmendmentEvent, *, message: str | None = None) -> bool:
        """Advance an amendment of an order on the desk; it is to be written. False when the event is stale or a repeat.

        `message` is what a person reads of it; None leaves what was said before.
        """
        if not lifecycle.advance_amendment(amendment, event, at=self.at):
            return False
        if message is not None:
            amendment.message = message[:500]
        self._amended[amendment.id] = amendment
        return True

    def alert(
        self,
        order: Order,
        *,
        key: str,
        kind: str,
        summary: str,
        severity: str = "WARNING",
        details: dict[str, Any] | None = None,
    ) -> None:
        """An alert about the order is to be raised, as `raise_alert` does."""
        self._alerts.append(
            AlertDraft(
                key=key, kind=kind, summary=summary, severity=severity, details=details or {},
                account_id=order.account_id, order_id=order.id,
            )
        )  # fmt: skip

    def write(self) -> None:
        """Write everything in one round trip. Events are first, since recording moves the heads that orders carry."""
        assert not self._fired, "call endings.conclude for what was fired, before it is written"
        with one_round_trip():
            self._send_rows()
        if self._books is not None:
            self._books.forget_available()

    def _send_rows(self) -> None:
        audit.record(self._events, actor=self.actor, at=self.at)
        for order in (*self._new, *self._changed.values()):
            reservation = self._reservations.get(order.id)
            if reservation is not None:
                order.reserved_units, order.reserve_id = reservation.units, reservation.reserve_id
        insert_rows(Order, ON_CREATION, self._new)
        new = {order.id for order in self._new}
        update_rows(Order, MUTABLE, [order for pk, order in sorted(self._changed.items()) if pk not in new])
        insert_rows(Execution, EXECUTION_COLUMNS, self._executions)
        asked = {amendment.id for amendment in self._asked}
        update_rows(Amendment, AMENDMENT_COLUMNS, [a for pk, a in self._amended.items() if pk not in asked])
        insert_rows(Amendment, AMENDMENT_ON_ASKING, self._asked)
        insert_rows(BrokerMessage, MESSAGE_COLUMNS, self._messages)
        overdrafts: list[AlertDraft] = []
        if self._books is not None:
            self._books.send_rows()
            overdrafts = self._books.overdrafts()
        raise_alerts([*self._alerts, *overdrafts], at=self.at)


def position_key(order: Order) -> PositionKey | None:
    """Which position the order works on; None for an external order in an instrument we do not know."""
    return None if order.instrument_id is None else (order.portfolio_id, order.instrument_id, order.product)
