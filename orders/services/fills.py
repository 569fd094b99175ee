"""Executions of one order: recording trades once, inferring what the order book knows before the trades do.

When the book shows more filled than the trades, an inferred execution stands in for the difference under
a deterministic id; when real trades arrive it is undone by a reversing row and they take its place. The sum
never counts anything twice and never goes back.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from compliance.audit import EventType
from oms.lib.clock import ist_date
from oms.lib.ids import new_id
from oms.lib.money import ZERO
from orders import alert_keys
from orders.models import Execution, Order
from orders.services import postings
from orders.services.desk import Desk
from orders.states import Event
from orders.types import BrokerStatus, OrderSnapshot, TradeSnapshot

PRICE_STEP = Decimal("0.0001")


def apply_fills(
    desk: Desk, order: Order, snapshot: OrderSnapshot, trades: Sequence[TradeSnapshot], recorded: list[Execution]
) -> bool:
    """Record what is new of an order's executions; returns whether its filled quantity grew.

    `recorded` are all its executions so far, reversals included; new ones are appended to it.
    """
    before = order.filled_quantity
    if order.instrument_id is None:
        return _unbooked(desk, order, snapshot)
    active = _active(recorded)
    _check_repeats(desk, order, trades, active)
    new = _unrecorded(trades, active)
    inferred = [e for e in active if e.is_inferred]
    replaced = ZERO
    if new and inferred:
        replaced = sum((e.quantity for e in inferred), ZERO)
        recorded += [_undo(desk, order, execution) for execution in inferred]
    # Somebody may have raised the quantity elsewhere: what works at the broker is not filled.
    whole = max(order.quantity, working_quantity(snapshot))
    for trade in new:
        units = min(replaced, trade.quantity)
        replaced -= units
        recorded.append(_record(desk, order, _execution(desk, order, trade), replaces=units, whole=whole))
    missing = max(snapshot.filled_quantity, before) - order.filled_quantity
    if missing > 0:
        # What was inferred and undone may have to be inferred again: the count keeps the ids apart.
        number = sum(e.is_inferred for e in recorded) + 1
        inferred_anew = _infer(desk, order, snapshot, missing, number)
        recorded.append(_record(desk, order, inferred_anew, replaces=min(replaced, missing), whole=whole))
    return order.filled_quantity > before


def _active(recorded: Iterable[Execution]) -> list[Execution]:
    rows = list(recorded)
    undone = {e.reverses_id for e in rows if e.reverses_id}
    return [e for e in rows if e.reverses_id is None and e.pk not in undone]


def _unrecorded(trades: Sequence[TradeSnapshot], active: Sequence[Execution]) -> list[TradeSnapshot]:
    have = {(e.exchange, e.trade_id, e.trade_date) for e in active}
    new: dict[tuple[object, ...], TradeSnapshot] = {}
    for trade in trades:
        key = (trade.exchange, trade.trade_id, trade.trade_date)
        if key not in have:
            new.setdefault(key, trade)
    return list(new.values())


def _check_repeats(desk: Desk, order: Order, trades: Sequence[TradeSnapshot], active: Sequence[Execution]) -> None:
    """The same trade with another quantity or price is an incident, not a repeat."""
    have = {(e.exchange, e.trade_id, e.trade_date): e for e in active}
    for trade in trades:
        known = have.get((trade.exchange, trade.trade_id, trade.trade_date))
        if known is not None and (known.quantity, known.price) != (trade.quantity, trade.price):
            desk.alert(
                order, key=alert_keys.trade_changed(known.pk), kind="TRADE_CHANGED", severity="CRITICAL",
                details={"raw": str(trade.raw)[:2000]},
                summary=f"Trade {trade.trade_id} was {known.quantity} @ {known.price} and is now reported as "
                f"{trade.quantity} @ {trade.price}",
            )  # fmt: skip


def _new(desk: Desk, order: Order, **fields: Any) -> Execution:
    assert order.broker_account_id is not None, "only what was sent somewhere executes"
    return Execution(
        id=new_id(), order_id=order.id, account_id=order.account_id, broker_account_id=order.broker_account_id,
        side=order.side, recorded_at=desk.at, **fields,
    )  # fmt: skip


def _execution(desk: Desk, order: Order, trade: TradeSnapshot) -> Execution:
    return _new(
        desk, order, exchange=trade.exchange, broker_order_id=trade.broker_order_id, trade_id=trade.trade_id,
        trade_date=trade.trade_date, quantity=trade.quantity, price=trade.price, traded_at=trade.traded_at,
    )  # fmt: skip


def _infer(desk: Desk, order: Order, snapshot: OrderSnapshot, missing: Decimal, number: int) -> Execution:
    """An execution for what the order book shows beyond the trades, at the price that explains its average."""
    value = snapshot.average_price * snapshot.filled_quantity - order.filled_value
    price = (value / missing).quantize(PRICE_STEP) if value > 0 else snapshot.average_price
    return _new(
        desk, order, exchange=order.exchange, broker_order_id=order.broker_order_id,
        trade_id=f"INF-{number}-{order.filled_quantity:f}-{order.filled_quantity + missing:f}",
        trade_date=ist_date(desk.at),
        quantity=missing, price=price, is_inferred=True, traded_at=desk.at,
    )  # fmt: skip


def working_quantity(snapshot: OrderSnapshot) -> Decimal:
    """The quantity that a row shows as still working; zero when nothing of it works."""
    return snapshot.terms.quantity if snapshot.status in _WORKS else ZERO


_WORKS = frozenset({BrokerStatus.PENDING, BrokerStatus.OVERLAY, BrokerStatus.TRIGGER, BrokerStatus.OPEN})


def _record(desk: Desk, order: Order, execution: Execution, *, replaces: Decimal, whole: Decimal) -> Execution:
    """Book one execution and let the order grow by it; `whole` is what it takes to be filled."""
    postings.book_execution(desk, order, execution, replaces=replaces)
    order.filled_quantity += execution.quantity
    order.filled_value += execution.quantity * execution.price
    order.charges += execution.charges
    desk.execute(execution)
    full = order.filled_quantity >= whole
    desk.fire(
        order,
        Event.FILL_FULL if full else Event.FILL_PART,
        {
            "execution_id": execution.id, "trade_id": execution.trade_id, "inferred": execution.is_inferred,
            "quantity": execution.quantity, "price": execution.price, "charges": execution.charges,
            "filled": order.filled_quantity, "remaining": max(order.remaining_quantity, ZERO),
            "symbol": order.symbol, "exchange": order.exchange, "side": order.side, "product": order.product,
            "broker_order_id": order.broker_order_id, "exchange_order_id": order.exchange_order_id,
            "traded_at": execution.traded_at,
        },
        recorded_as=EventType.ORDER_FILLED if full else EventType.ORDER_PARTIALLY_FILLED,
    )  # fmt: skip
    return execution


def _undo(desk: Desk, order: Order, execution: Execution) -> Execution:
    """Undo one execution: in the books, on the order, and by a row that points at it."""
    desk.books.reverse(execution.pk)
    order.filled_quantity -= execution.quantity
    order.filled_value -= execution.quantity * execution.price
    order.charges -= execution.charges
    reversal = _new(
        desk, order, exchange=execution.exchange, broker_order_id=execution.broker_order_id,
        trade_id=f"REV-{execution.trade_id}"[:60], trade_date=execution.trade_date, quantity=execution.quantity,
        price=execution.price, charges=-execution.charges, reverses=execution, traded_at=desk.at,
    )  # fmt: skip
    desk.execute(reversal)
    desk.note(
        order, EventType.EXECUTION_REVERSED,
        {"execution_id": execution.id, "trade_id": execution.trade_id, "quantity": execution.quantity,
         "price": execution.price, "reason": "the exchange's own trades have arrived"},
    )  # fmt: skip
    return reversal


def _unbooked(desk: Desk, order: Order, snapshot: OrderSnapshot) -> bool:
    """An external order in an instrument that we do not know cannot be booked: a person must look."""
    if snapshot.filled_quantity > order.filled_quantity:
        desk.alert(
            order, key=f"unbooked:{order.id}", kind="UNBOOKED_EXECUTION", severity="CRITICAL",
            summary=f"{order} executed at the broker, but the instrument is not on file: sync instruments",
        )  # fmt: skip
    return False
