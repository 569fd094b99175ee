"""(c) Applying an order book of 10,000 rows of which a fifth has changed, against one plain SQL statement.

The orders are placed by the product and acknowledged by a first reading of the book; nothing is mocked but the
broker's answer, which is made here with the columns that Kite sends.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from benchmarks.figures import Figure
from benchmarks.scale import Scale
from benchmarks.world import SYMBOL, World, place, settled
from oms.lib.clock import ist_date, now
from orders.models import Order
from orders.services.observation import apply_book
from orders.types import BrokerStatus, OrderSnapshot, OrderType, Side, Terms, TimeInForce, TradeSnapshot

SECTION = "(c) applying the broker's book"
QUANTITY = Decimal(10)
#: The limit: find the rows that say something new and update them, all at once.
PLAIN = """UPDATE orders_order AS o
    SET state = n.state, broker_status = n.status, filled_quantity = n.filled, version = o.version + 1,
        event_seq = o.event_seq + 1, updated_at = now()
    FROM unnest(%(ids)s::text[], %(statuses)s::text[], %(states)s::text[], %(filled)s::numeric[])
        AS n(broker_order_id, status, state, filled)
    WHERE o.broker_account_id = %(broker)s AND o.broker_order_id = n.broker_order_id
      AND (o.broker_status, o.filled_quantity) IS DISTINCT FROM (n.status, n.filled)"""
STATES = {"OPEN": "OPEN", "COMPLETE": "FILLED", "CANCELLED": "CANCELED"}


@dataclass(slots=True)
class _Book:
    """The broker's side: the rows of the day in order, and its trades."""

    rows: list[OrderSnapshot]
    trades: list[TradeSnapshot]


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    statements: int
    changed: int


def apply_changes(world: World, scale: Scale) -> Iterator[Figure]:
    """Seconds of a first reading (all rows new), of one that says nothing new, and of readings with changes."""
    world.route(world.nowhere)
    book = _Book(_place(world, scale), [])
    first = _apply(world, book)
    assert first.changed == scale.book, first
    yield _figure("all acknowledged for the first time", book, [first], [])
    same = [_apply(world, book) for _ in range(scale.book_rounds)]
    assert not any(cost.changed for cost in same), same
    yield _figure("nothing changed", book, same, [_plain(world, book) for _ in range(scale.book_rounds)])
    settled()
    changed, plain = [], []
    for number in range(scale.book_rounds):
        _change(book, range(scale.changes * number, scale.changes * (number + 1)))
        plain.append(_plain(world, book))
        changed.append(_apply(world, book))
    assert [cost.changed for cost in changed] == [scale.changes] * scale.book_rounds, changed
    yield _figure("a fifth changed: filled, part-filled or cancelled", book, changed, plain)


def _figure(name: str, book: _Book, costs: Sequence[_Cost], plain: Sequence[float]) -> Figure:
    middle = sorted(costs, key=lambda cost: cost.seconds)[len(costs) // 2]
    limit = sorted(plain)[len(plain) // 2] if plain else None
    rows = len(book.rows)
    note = f"{rows:,} rows: {rows / middle.seconds:,.0f} rows/s in {middle.statements} statements"
    return Figure(
        SECTION, name, middle.seconds, "s", limit=limit, note=f"{note}; limit: one UPDATE … FROM" if plain else note,
        details={"seconds": [cost.seconds for cost in costs], "limit_seconds": list(plain)},
    )  # fmt: skip


def _place(world: World, scale: Scale) -> list[OrderSnapshot]:
    """Accepted orders, spread over the accounts, as rows of a broker that has just taken them."""
    orders: list[Order] = []
    for start in range(0, scale.book, scale.listed):
        numbers = range(start, start + scale.listed)
        orders += place([world.request(n % len(world.accounts), int(QUANTITY)) for n in numbers])
    return [_row(order, number) for number, order in enumerate(orders)]


def _row(order: Order, number: int) -> OrderSnapshot:
    assert order.price is not None
    assert order.tag is not None
    raw = {
        "order_id": f"{19_000_000 + number}", "exchange_order_id": f"{11_000_000 + number}", "status": "OPEN",
        "tradingsymbol": SYMBOL, "exchange": "NSE", "transaction_type": "BUY", "order_type": "LIMIT",
        "variety": "regular", "validity": "DAY", "product": "CNC", "quantity": int(order.quantity),
        "price": float(order.price), "tag": order.tag, "pending_quantity": int(order.quantity), "filled_quantity": 0,
        "average_price": 0, "status_message": None, "placed_by": "ZZ0000", "guid": order.tag, "meta": {},
    }  # fmt: skip
    return OrderSnapshot(
        broker_order_id=str(raw["order_id"]), status=BrokerStatus.OPEN, raw_status="OPEN", tags=(order.tag,),
        exchange="NSE", symbol=SYMBOL, side=Side.BUY, product="CNC", variety="regular",
        terms=Terms(order.quantity, order.price, None, OrderType.LIMIT, TimeInForce.DAY), filled_quantity=Decimal(0),
        average_price=Decimal(0), exchange_order_id=str(raw["exchange_order_id"]), raw=raw,
    )  # fmt: skip


def _change(book: _Book, numbers: range) -> None:
    """Of five rows three are filled, one in part, one is cancelled."""
    for number in numbers:
        row = book.rows[number]
        filled = (QUANTITY, QUANTITY, QUANTITY, QUANTITY / 2, Decimal(0))[number % 5]
        status = {QUANTITY: BrokerStatus.COMPLETE, 0: BrokerStatus.CANCELLED}.get(filled, BrokerStatus.OPEN)
        book.rows[number] = replace(
            row, status=status, raw_status=status.value, filled_quantity=filled,
            average_price=row.terms.price or Decimal(0),
            raw=row.raw | {"status": status.value, "filled_quantity": int(filled)},
        )  # fmt: skip
        if filled:
            book.trades.append(_trade(row, filled))


def _trade(row: OrderSnapshot, quantity: Decimal) -> TradeSnapshot:
    at = now() - timedelta(seconds=1)
    return TradeSnapshot(
        trade_id=f"T{row.broker_order_id}", broker_order_id=row.broker_order_id, exchange="NSE", symbol=SYMBOL,
        side=Side.BUY, product="CNC", quantity=quantity, price=row.terms.price or Decimal(0), traded_at=at,
        trade_date=ist_date(at), exchange_order_id=row.exchange_order_id,
    )  # fmt: skip


def _apply(world: World, book: _Book) -> _Cost:
    with _counted() as statements:
        began = time.perf_counter()
        changed = len(apply_book(world.nowhere.pk, book.rows, book.trades, at=now()))
        seconds = time.perf_counter() - began
    return _Cost(seconds, statements.total(), changed)


def _plain(world: World, book: _Book) -> float:
    """Seconds of the limit, undone afterwards."""
    statuses = [row.raw_status for row in book.rows]
    states = [
        "PARTIALLY_FILLED" if row.raw_status == "OPEN" and row.filled_quantity else STATES[row.raw_status]
        for row in book.rows
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute(
            PLAIN,
            {
                "broker": world.nowhere.pk, "ids": [row.broker_order_id for row in book.rows], "statuses": statuses,
                "states": states, "filled": [row.filled_quantity for row in book.rows],
            },
        )  # fmt: skip
        seconds = time.perf_counter() - began
        transaction.set_rollback(True)
    return seconds


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Statements sent while the block runs, by their first word."""
    sent: Counter[str] = Counter()

    def count(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
        sent[str(statement).split(None, 1)[0]] += 1
        return execute(statement, *rest)

    with connection.execute_wrapper(count):
        yield sent
