"""Reading what became of orders: executions that count, amendments on their way, the execution report."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from orders.models import Amendment, Execution, Order
from orders.states import OPEN_AMENDMENTS
from orders.types import Side

Row = TypeVar("Row", Execution, Amendment)
BASIS_POINTS = Decimal(10_000)
_HUNDREDTH = Decimal("0.01")


def effective_executions(order_ids: Sequence[UUID]) -> dict[UUID, list[Execution]]:
    """Per order the executions that count (neither reversed nor reversing), in the order of recording."""
    if not order_ids:
        return {}
    rows = Execution.objects.filter(order_id__in=order_ids, reverses=None, reversed_by=None).order_by("id")
    return _by_order(rows)


def open_amendments(order_ids: Sequence[UUID]) -> dict[UUID, list[Amendment]]:
    """Per order the modification and the cancellation that the broker has not yet decided."""
    if not order_ids:
        return {}
    rows = Amendment.objects.filter(order_id__in=order_ids, state__in=OPEN_AMENDMENTS).order_by("id")
    return _by_order(rows)


def _by_order(rows: Iterable[Row]) -> dict[UUID, list[Row]]:
    grouped: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.order_id].append(row)
    return grouped


@dataclass(frozen=True, slots=True)
class Slippage:
    """What execution cost against the price at which the order was accepted. Positive is worse than that price.

    `per_unit` and `amount` in rupees, `basis_points` of the arrival price.
    """

    arrival_price: Decimal
    per_unit: Decimal
    amount: Decimal
    basis_points: Decimal


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """How well an order was executed. Value and charges in rupees."""

    executions: Sequence[Execution]
    filled_quantity: Decimal
    average_price: Decimal | None
    value: Decimal
    charges: Decimal
    slippage: Slippage | None
    first_fill_at: datetime | None
    last_fill_at: datetime | None
    completed_at: datetime | None


def execution_report(order: Order) -> ExecutionReport:
    """Reckoned from the executions that count, not from the order's own running totals."""
    executions = effective_executions([order.id]).get(order.id, [])
    quantity = sum((e.quantity for e in executions), Decimal(0))
    value = sum((e.quantity * e.price for e in executions), Decimal(0))
    times = [e.traded_at for e in executions]
    return ExecutionReport(
        executions=executions,
        filled_quantity=quantity,
        average_price=(value / quantity).quantize(Decimal("1e-8")) if quantity else None,
        value=value,
        charges=sum((e.charges for e in executions), Decimal(0)),
        slippage=_slippage(order, quantity, value),
        first_fill_at=min(times, default=None),
        last_fill_at=max(times, default=None),
        completed_at=order.ended_at,
    )


def _slippage(order: Order, quantity: Decimal, value: Decimal) -> Slippage | None:
    arrival = order.price_at_entry
    if not quantity or not arrival:
        return None
    amount = value - quantity * arrival
    if order.side == Side.SELL:
        amount = -amount
    per_unit = amount / quantity
    return Slippage(
        arrival,
        per_unit.quantize(Decimal("1e-8")),
        amount.quantize(_HUNDREDTH),
        (per_unit / arrival * BASIS_POINTS).quantize(_HUNDREDTH),
    )
