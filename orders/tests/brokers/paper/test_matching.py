"""Crossing, triggers and sharing, as tables."""

import pytest

from orders.brokers.paper.matching import Fill, allocate, crosses, is_triggered
from orders.brokers.paper.orders import Order


def order(number: int, side: str, quantity: int, price: int, *, filled: int = 0, trigger: int = 0) -> Order:
    return Order(
        order_id=str(number),
        user_id="PX0001",
        api_key="paper",
        day="2026-11-23",
        variety="regular",
        exchange="NSE",
        tradingsymbol="SBIN",
        instrument_token=779521,
        transaction_type=side,
        order_type="SL" if trigger else "LIMIT",
        product="CNC",
        quantity=quantity,
        price=price,
        trigger_price=trigger,
        validity="DAY",
        order_timestamp="",
        status="OPEN",
        filled_quantity=filled,
        sequence=number,
    )


@pytest.mark.parametrize(
    ("side", "price", "last", "expected"),
    [
        ("BUY", 100, 101, False),
        ("BUY", 100, 100, True),
        ("BUY", 100, 99, True),
        ("SELL", 100, 99, False),
        ("SELL", 100, 100, True),
        ("SELL", 100, 101, True),
    ],
)
def test_an_order_crosses_when_the_last_price_is_no_worse_than_its_limit(
    side: str, price: int, last: int, expected: bool
) -> None:
    assert crosses(order(1, side, 1, price), last) is expected


@pytest.mark.parametrize(
    ("side", "trigger", "last", "expected"),
    [
        ("BUY", 100, 99, False),
        ("BUY", 100, 100, True),
        ("BUY", 100, 105, True),
        ("SELL", 100, 101, False),
        ("SELL", 100, 100, True),
        ("SELL", 100, 95, True),
    ],
)
def test_a_stop_is_triggered_when_the_price_reaches_it(side: str, trigger: int, last: int, expected: bool) -> None:
    assert is_triggered(order(1, side, 1, trigger, trigger=trigger), last) is expected


@pytest.mark.parametrize(
    ("orders", "last", "available", "fills"),
    [
        ([], 100, 50, []),
        ([order(1, "BUY", 10, 100)], 100, 50, [("1", 10)]),
        ([order(1, "BUY", 10, 99)], 100, 50, []),
        ([order(1, "BUY", 10, 100)], 100, 0, []),
        ([order(1, "BUY", 10, 100), order(2, "BUY", 10, 100)], 100, 15, [("1", 10), ("2", 5)]),
        ([order(1, "BUY", 10, 100), order(2, "BUY", 10, 101)], 100, 15, [("2", 10), ("1", 5)]),
        ([order(1, "SELL", 10, 100), order(2, "SELL", 10, 99)], 100, 15, [("2", 10), ("1", 5)]),
        ([order(2, "SELL", 10, 99), order(1, "SELL", 10, 99)], 100, 15, [("1", 10), ("2", 5)]),
        ([order(1, "BUY", 10, 100, filled=7)], 100, 50, [("1", 3)]),
    ],
)
def test_the_best_limit_and_the_oldest_order_are_served_first(
    orders: list[Order], last: int, available: int, fills: list[tuple[str, int]]
) -> None:
    expected = [Fill(order_id, quantity, last) for order_id, quantity in fills]
    assert allocate(orders, last_price=last, available=available) == expected
