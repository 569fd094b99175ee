"""Orders in any legal state, made the way they are made in life: by services, and by what a broker says."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from compliance.idempotency import Idempotent
from oms.lib.actors import Actor, ActorType
from oms.lib.clock import ist_date, now
from orders.models import Order
from orders.services.observation import apply_book
from orders.services.placement import Intent, Placement, place_orders
from orders.services.submission import answer_place, claim_orders
from orders.types import (
    Accepted,
    BrokerStatus,
    OrderRequest,
    OrderSnapshot,
    OrderType,
    Side,
    Terms,
    TimeInForce,
    TradeSnapshot,
)

TRADER = Actor(ActorType.TRADER, "1", "API")

RAW = {
    BrokerStatus.PENDING: "OPEN PENDING",
    BrokerStatus.OVERLAY: "MODIFY PENDING",
    BrokerStatus.TRIGGER: "TRIGGER PENDING",
    BrokerStatus.OPEN: "OPEN",
    BrokerStatus.COMPLETE: "COMPLETE",
    BrokerStatus.CANCELLED: "CANCELLED",
    BrokerStatus.REJECTED: "REJECTED",
    BrokerStatus.LAPSED: "LAPSED",
    BrokerStatus.UNHEARD_OF: "GONE FISHING",
}


def request_for(**given: Any) -> OrderRequest:
    """BUY 10 SBIN at 1000 for DEMO, but for what is given."""
    fields: dict[str, Any] = {
        "account": "DEMO", "exchange": "NSE", "symbol": "SBIN", "side": Side.BUY, "type": OrderType.LIMIT,
        "quantity": Decimal(10), "price": Decimal(1000),
    }  # fmt: skip
    return OrderRequest(**(fields | given))


def place(*, user: Any = None, at: datetime | None = None, **given: Any) -> Order:
    """One order through placement."""
    (placement,) = place_list([request_for(**given)], user=user, at=at)
    return stored(placement)


def place_list(
    requests: Sequence[OrderRequest],
    *,
    user: Any = None,
    at: datetime | None = None,
    keys: Sequence[Idempotent[Placement] | None] = (),
) -> list[Placement]:
    """A list of orders of one user through placement, each with its key if `keys` are given."""
    intents = [Intent(r, TRADER, user, key) for r, key in zip_longest(requests, keys)]
    return place_orders(intents, at=at or now())


def stored(placement: Placement) -> Order:
    """The order that was stored; what kept it from being stored is raised."""
    if placement.error is not None:
        raise placement.error
    assert placement.order is not None
    return placement.order


def send(order: Order, outcome: Any = None, *, at: datetime | None = None) -> Order:
    """Claim the waiting orders and answer for this one: accepted under B-<tag> unless told otherwise."""
    at = at or now()
    claim_orders(order.broker_account_id, limit=100, at=at)
    answer_place(order.id, outcome or Accepted(broker_id(order)), at=at)
    return fresh(order)


def broker_id(order: Order) -> str:
    return f"B-{order.tag}"


def fresh(order: Order) -> Order:
    """The order as the database has it now. A protected model must not be refreshed in place."""
    return Order.objects.get(pk=order.pk)


def row(order: Order, status: BrokerStatus, *, filled: Any = 0, average: Any = None, **terms: Any) -> OrderSnapshot:
    """What the broker's book shows of an order."""
    given = {
        "quantity": order.quantity, "price": order.price, "stop_price": order.stop_price,
        "type": OrderType(order.type), "time_in_force": TimeInForce(order.time_in_force),
    } | terms  # fmt: skip
    return OrderSnapshot(
        broker_order_id=order.broker_order_id or broker_id(order), status=status, raw_status=RAW[status],
        tags=(order.tag or "",), exchange=order.exchange, symbol=order.symbol, side=Side(order.side),
        product=order.product, variety=order.variety, terms=Terms(**given), filled_quantity=Decimal(filled),
        average_price=Decimal(average if average is not None else order.price or 1000), exchange_order_id="X1",
    )  # fmt: skip


def trade(order: Order, number: int, quantity: Any, price: Any = None) -> TradeSnapshot:
    """One trade of an order, as the broker reports it."""
    at = now()
    return TradeSnapshot(
        trade_id=str(number), broker_order_id=order.broker_order_id or broker_id(order), exchange=order.exchange,
        symbol=order.symbol, side=Side(order.side), product=order.product, quantity=Decimal(quantity),
        price=Decimal(price if price is not None else order.price or 1000), traded_at=at, trade_date=ist_date(at),
    )  # fmt: skip


def see(
    order: Order, status: BrokerStatus, trades: Sequence[TradeSnapshot] = (), *, source: str = "POLL", **given: Any
) -> Order:
    """Let the broker show the order, with the trades so far; filled is their sum unless told otherwise."""
    given.setdefault("filled", sum((t.quantity for t in trades), Decimal(0)))
    if trades and "average" not in given:
        given["average"] = sum(t.quantity * t.price for t in trades) / sum(t.quantity for t in trades)
    apply_book(order.broker_account_id, [row(order, status, **given)], list(trades), at=now(), source=source)
    return fresh(order)


def working(count: int, **given: Any) -> list[Order]:
    """So many orders that the broker shows open, made in sets. Lift the house's limits first."""
    orders = [stored(placement) for placement in place_list([request_for(**given)] * count)]
    broker_account_id = orders[0].broker_account_id
    assert broker_account_id is not None
    claim_orders(broker_account_id, limit=count, at=now())
    apply_book(broker_account_id, [row(order, BrokerStatus.OPEN) for order in orders], [], at=now())
    return [fresh(order) for order in orders]
