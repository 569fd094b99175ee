"""Orders as the outside sees them, in the contract's names: of each resource its shape, and what fills it.

Shapes are for the API's description; the documents are those of the API, the streams and webhooks. Pure: what a
document shows must have been read before (`account` and `portfolio` of the order included). Decimals stay Decimals
and instants stay datetimes; whoever sends them writes their text. A member that is absent is not set.
"""

from collections.abc import Iterable

from rest_framework import serializers

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.keysets import Keyset
from oms.lib.api.pages import Page
from oms.lib.api.schema import Problem
from oms.lib.api.shapes import Shape
from oms.lib.api.wire import Document
from orders.models import Amendment, Execution, Order
from orders.states import PUBLIC_STATUS, AmendmentState, PublicStatus, State
from orders.types import OrderType, Side, Variety

TIMES_IN_FORCE = ["DAY", "IOC", "TTL", "GTC", "FOK"]


def _text(**options: object) -> serializers.CharField:
    return serializers.CharField(required=False, **options)  # type: ignore[arg-type]


def _number(**options: object) -> ExactDecimal:
    return ExactDecimal(required=False, **options)  # type: ignore[arg-type]


class ExecutionDocument(Shape):
    """One execution. `inferred`: seen in the order book before its trade was."""

    id = serializers.UUIDField()
    execution_id = serializers.CharField()
    quantity = ExactDecimal(places=0)
    price = ExactDecimal()
    timestamp = serializers.DateTimeField()
    fees = ExactDecimal(places=2)
    venue = serializers.CharField()
    inferred = serializers.BooleanField(required=False)
    reverses = serializers.UUIDField(required=False, help_text="The execution that this one undoes.")


class ExecutionKeyset(Keyset):
    content = ExecutionDocument(many=True)


def execution_document(execution: Execution) -> Document:
    """The contract's ExecutionReport. `fees` are the charges booked for it, in rupees."""
    document: Document = {
        "id": execution.id,
        "executionId": execution.trade_id,
        "quantity": execution.quantity,
        "price": execution.price,
        "timestamp": execution.traded_at,
        "fees": execution.charges,
        "venue": execution.exchange,
    }
    if execution.is_inferred:
        document["inferred"] = True
    if execution.reverses_id is not None:
        document["reverses"] = execution.reverses_id
    return document


class AmendmentDocument(Shape):
    """A modification or cancellation on its way, with the terms asked for."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(Amendment.Kind.values)
    state = serializers.ChoiceField(AmendmentState.values)
    created_at = serializers.DateTimeField()
    type = serializers.ChoiceField(OrderType.values, required=False)
    time_in_force = serializers.ChoiceField(TIMES_IN_FORCE, required=False)
    quantity = _number(places=0)
    price = _number()
    stop_price = _number()
    disclosed_quantity = _number(places=0)
    reason = _text()
    message = _text()


def amendment_document(amendment: Amendment) -> Document:
    """A modification or cancellation; the terms are those asked for."""
    document: Document = {
        "id": amendment.id,
        "kind": amendment.kind,
        "state": amendment.state,
        "createdAt": amendment.created_at,
    }
    optional = {
        "type": amendment.type,
        "timeInForce": amendment.time_in_force,
        "quantity": amendment.quantity,
        "price": amendment.price,
        "stopPrice": amendment.stop_price,
        "disclosedQuantity": amendment.disclosed_quantity,
        "reason": amendment.reason,
        "message": amendment.message,
    }
    document.update((name, value) for name, value in optional.items() if value not in (None, ""))
    return document


class StatusMembers(Shape):
    """Where an order stands. `state` is the detailed state behind the contract's `status`."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(PublicStatus.values)
    state = serializers.ChoiceField(State.values)
    provisional = serializers.BooleanField(required=False, help_text="Not found at the broker, and may yet turn up.")
    quantity = ExactDecimal(places=0)
    filled_quantity = ExactDecimal(places=0)
    remaining_quantity = ExactDecimal(places=0)
    average_execution_price = _number()
    version = serializers.IntegerField()
    updated_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(required=False)


class StatusDocument(StatusMembers):
    """Just where the order stands."""


def status_members(order: Order) -> Document:
    """Where the order stands: part of its document, and the whole of its status document."""
    state = State(order.state)
    members: Document = {
        "status": PUBLIC_STATUS[state],
        "state": state,
        "quantity": order.quantity,
        "filledQuantity": order.filled_quantity,
        "remainingQuantity": order.remaining_quantity,
        "version": order.version,
        "updatedAt": order.updated_at,
    }
    if state is State.LOST:
        # Looked for at the broker and not found; evidence may still bring it back.
        members["provisional"] = True
    if order.average_price is not None:
        members["averageExecutionPrice"] = order.average_price
    if order.ended_at is not None:
        members["endedAt"] = order.ended_at
    return members


class OrderDocument(StatusMembers):
    """An order. A member that is absent is not set."""

    account_id = serializers.CharField()
    portfolio_id = serializers.CharField()
    exchange = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(Side.values)
    type = serializers.ChoiceField(OrderType.values)
    product = serializers.CharField()
    variety = serializers.ChoiceField(Variety.values)
    time_in_force = serializers.ChoiceField(TIMES_IN_FORCE)
    origin = serializers.ChoiceField(Order.Origin.values)
    trade_date = serializers.DateField()
    created_at = serializers.DateTimeField()
    execution_reports = ExecutionDocument(many=True)
    price = _number()
    stop_price = _number()
    validity_minutes = serializers.IntegerField(required=False)
    disclosed_quantity = _number(places=0)
    iceberg_legs = serializers.IntegerField(required=False)
    market_protection = _number()
    price_at_entry = _number()
    charges = _number()
    client_order_id = _text()
    strategy_id = _text()
    algo_id = _text()
    notes = _text()
    broker_order_id = _text()
    exchange_order_id = _text()
    broker_status = _text()
    rejection_code = _text()
    rejection_reason = _text()
    pending_amendments = AmendmentDocument(many=True, required=False)


class OrderPage(Page):
    content = OrderDocument(many=True)


class RefusedOrder(Problem):
    """The order was refused and is stored; `code` says by which rule."""

    order_id = serializers.UUIDField(required=False)


def order_document(
    order: Order, *, executions: Iterable[Execution] = (), amendments: Iterable[Amendment] = ()
) -> Document:
    """The contract's OrderResponse. `executions` are those that count, `amendments` those on their way."""
    document: Document = {
        "id": order.id,
        "accountId": order.account.code,
        "portfolioId": order.portfolio.code,
        "exchange": order.exchange,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        "product": order.product,
        "variety": order.variety,
        "timeInForce": order.time_in_force,
        **status_members(order),
        "origin": order.origin,
        "tradeDate": order.trade_date,
        "createdAt": order.created_at,
        "executionReports": [execution_document(execution) for execution in executions],
    }
    optional = {
        "price": order.price,
        "stopPrice": order.stop_price,
        "validityMinutes": order.validity_minutes,
        "disclosedQuantity": order.disclosed_quantity or None,
        "icebergLegs": order.iceberg_legs,
        "marketProtection": order.market_protection,
        "priceAtEntry": order.price_at_entry,
        "charges": order.charges or None,
        "clientOrderId": order.client_order_id,
        "strategyId": order.strategy_id,
        "algoId": order.algo_id,
        "notes": order.notes,
        "brokerOrderId": order.broker_order_id,
        "exchangeOrderId": order.exchange_order_id,
        "brokerStatus": order.broker_status,
        "rejectionCode": order.rejection_code,
        "rejectionReason": order.rejection_reason or _refused_by_broker(order),
        "pendingAmendments": [amendment_document(amendment) for amendment in amendments],
    }
    document.update((name, value) for name, value in optional.items() if value not in (None, "", []))
    return document


def _refused_by_broker(order: Order) -> str:
    return order.broker_message if order.state == State.REJECTED else ""
