"""Who trades, how much and at what price: pure functions over one instrument's resting orders.

Belongs here: crossing, price-time priority, sharing the volume of a tick, triggers. Applying a
fill to orders, funds and the store is not done here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from .orders import Order


@dataclass(frozen=True, slots=True)
class Fill:
    """`quantity` units of `order_id` at `price` paise."""

    order_id: str
    quantity: int
    price: int


def crosses(order: Order, last_price: int) -> bool:
    """True when the limit allows a trade at the last price. A limit of 0 is a market order's."""
    if order.is_buy:
        return order.price >= last_price or not order.price
    return order.price <= last_price


def is_triggered(order: Order, last_price: int) -> bool:
    """True when the last price has reached a stop order's trigger."""
    if order.is_buy:
        return last_price >= order.trigger_price
    return last_price <= order.trigger_price


def _priority(order: Order) -> tuple[int, int]:
    return (-order.price if order.is_buy else order.price, order.sequence)


def allocate(orders: Iterable[Order], *, last_price: int, available: int) -> list[Fill]:
    """Share `available` units among the crossing `orders` of one side, best limit and oldest first.

    Every fill is at `last_price`, which is never worse than the order's limit.
    """
    fills = []
    for order in sorted((o for o in orders if crosses(o, last_price)), key=_priority):
        quantity = min(order.remaining, available)
        if quantity <= 0:
            break
        available -= quantity
        fills.append(Fill(order.order_id, quantity, last_price))
    return fills
