"""Orders as the outside sees them: the documents of the API, the streams and webhooks, in the contract's names.

Pure: what a document shows must have been read before (`account` and `portfolio` of the order
included). Decimals stay Decimals and instants stay datetimes; whoever sends them writes their text.
A member that is absent is not set.
"""

from collections.abc import Iterable

from oms.lib.api.wire import Document
from orders.models import Amendment, Execution, Order
from orders.states import PUBLIC_STATUS, State


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


def _refused_by_broker(order: Order) -> str:
    return order.broker_message if order.state == State.REJECTED else ""


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
