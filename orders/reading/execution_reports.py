"""What became of orders: the executions that count, amendments on their way, and how well an order was executed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from rest_framework import serializers

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.shapes import Shape
from oms.lib.api.wire import Document
from oms.lib.money import average
from orders.models import Amendment, Execution, Order
from orders.reading.documents import ExecutionDocument, execution_document, status_members
from orders.selectors import by_order
from orders.states import OPEN_AMENDMENTS, PublicStatus, State
from orders.types import OrderType, Side

BASIS_POINTS = Decimal(10_000)
_HUNDREDTH = Decimal("0.01")


def effective_executions(order_ids: Sequence[UUID]) -> dict[UUID, list[Execution]]:
    """Per order the executions that count (neither reversed nor reversing), in the order of recording."""
    if not order_ids:
        return {}
    rows = Execution.objects.filter(order_id__in=order_ids, reverses=None, reversed_by=None).order_by("id")
    return by_order(rows)


def open_amendments(order_ids: Sequence[UUID]) -> dict[UUID, list[Amendment]]:
    """Per order the modification and the cancellation that the broker has not yet decided."""
    if not order_ids:
        return {}
    rows = Amendment.objects.filter(order_id__in=order_ids, state__in=OPEN_AMENDMENTS).order_by("id")
    return by_order(rows)


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
        average_price=average(value, quantity) if quantity else None,
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
    return Slippage(
        arrival,
        average(amount, quantity),
        amount.quantize(_HUNDREDTH),
        (amount / quantity / arrival * BASIS_POINTS).quantize(_HUNDREDTH),
    )


class SlippageDocument(Shape):
    """Against the price when the order was accepted; positive is worse than that price."""

    arrival_price = ExactDecimal()
    per_unit = ExactDecimal()
    amount = ExactDecimal()
    basis_points = ExactDecimal()


class ExecutionReportDocument(Shape):
    """How well an order was executed; value and charges in rupees."""

    order_id = serializers.UUIDField()
    account_id = serializers.CharField()
    exchange = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(Side.values)
    type = serializers.ChoiceField(OrderType.values)
    status = serializers.ChoiceField(PublicStatus.values)
    state = serializers.ChoiceField(State.values)
    quantity = ExactDecimal(places=0)
    filled_quantity = ExactDecimal(places=0)
    fills = serializers.IntegerField()
    average_price = ExactDecimal(required=False)
    value = ExactDecimal()
    charges = ExactDecimal()
    slippage = SlippageDocument(required=False)
    first_fill_at = serializers.DateTimeField(required=False)
    last_fill_at = serializers.DateTimeField(required=False)
    completed_at = serializers.DateTimeField(required=False)
    executions = ExecutionDocument(many=True)


def execution_report_document(order: Order, report: ExecutionReport) -> Document:
    """The report as it is sent. The order must have been read with its account."""
    document: Document = {
        "orderId": order.id,
        "accountId": order.account.code,
        "exchange": order.exchange,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        **{name: value for name, value in status_members(order).items() if name in {"status", "state", "quantity"}},
        "filledQuantity": report.filled_quantity,
        "fills": len(report.executions),
        "value": report.value,
        "charges": report.charges,
        "executions": [execution_document(execution) for execution in report.executions],
    }
    optional: Document = {
        "averagePrice": report.average_price,
        "firstFillAt": report.first_fill_at,
        "lastFillAt": report.last_fill_at,
        "completedAt": report.completed_at,
    }
    if report.slippage:
        optional["slippage"] = {
            "arrivalPrice": report.slippage.arrival_price,
            "perUnit": report.slippage.per_unit,
            "amount": report.slippage.amount,
            "basisPoints": report.slippage.basis_points,
        }
    document.update((name, value) for name, value in optional.items() if value is not None)
    return document
