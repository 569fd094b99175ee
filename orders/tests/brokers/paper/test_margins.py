"""What orders and positions hold back, as properties of the table: more is never cheaper, closing is free."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.charges import charges_of
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.margins import is_cash_settled, order_margin, position_margin

CATALOGUE = Catalogue.read()
SBIN, FUTURE, CALL = (CATALOGUE.by_key[key] for key in ("NSE:SBIN", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE"))
KINDS = [(SBIN, "CNC"), (SBIN, "MIS"), (FUTURE, "NRML"), (FUTURE, "MIS"), (CALL, "NRML"), (CALL, "MIS")]
units, prices = st.integers(0, 100_000), st.integers(1, 5_000_000)


@pytest.mark.parametrize(
    ("instrument", "product", "is_buy", "total"),  # of 100 units at ₹1,000; the call's strike is ₹26,000
    [
        (SBIN, "CNC", True, 10_000_000),
        (SBIN, "CNC", False, 0),  # units are what a delivery sale needs
        (SBIN, "MIS", True, 2_000_000),
        (SBIN, "MIS", False, 2_000_000),
        (FUTURE, "NRML", True, 1_500_000),
        (FUTURE, "MIS", False, 1_500_000),
        (CALL, "NRML", True, 10_000_000),
        (CALL, "NRML", False, 39_000_000),
    ],
)
def test_the_table(instrument: Any, product: str, is_buy: bool, total: int) -> None:
    assert order_margin(instrument, product, is_buy, 100, 100, 100_000).total == total


@pytest.mark.parametrize(("instrument", "product"), KINDS)
@given(units, units, prices, st.booleans())
def test_more_units_never_need_less(
    instrument: Any, product: str, one: int, other: int, price: int, is_buy: bool
) -> None:
    few, many = sorted((one, other))
    need = [order_margin(instrument, product, is_buy, quantity, quantity, price).total for quantity in (few, many)]
    assert 0 <= need[0] <= need[1]


@pytest.mark.parametrize(("instrument", "product"), [(SBIN, "MIS"), (FUTURE, "NRML"), (CALL, "NRML")])
@given(units, prices)
def test_what_only_closes_needs_nothing(instrument: Any, product: str, quantity: int, price: int) -> None:
    assert order_margin(instrument, product, False, quantity, 0, price).total == 0


@given(units, prices)
def test_an_order_that_fills_holds_no_more_than_it_did_before(quantity: int, price: int) -> None:
    for instrument, product in ((SBIN, "MIS"), (FUTURE, "NRML")):
        ordered = order_margin(instrument, product, True, quantity, quantity, price)
        held = position_margin(instrument, product, quantity, quantity * price)
        assert held == ordered


@pytest.mark.parametrize(("instrument", "product"), KINDS)
def test_nothing_is_held_for_no_position(instrument: Any, product: str) -> None:
    assert position_margin(instrument, product, 0, 0).total == 0


@pytest.mark.parametrize(
    ("instrument", "product", "in_full"),
    [(SBIN, "CNC", True), (SBIN, "MIS", False), (FUTURE, "NRML", False), (CALL, "NRML", True), (CALL, "MIS", True)],
)
def test_what_is_paid_in_full(instrument: Any, product: str, in_full: bool) -> None:
    assert is_cash_settled(instrument, product) is in_full


@pytest.mark.parametrize(("instrument", "product"), KINDS)
@given(st.sampled_from(["BUY", "SELL"]), st.integers(0, 10**12))
def test_charges_are_the_sum_of_their_parts_and_never_a_gift(
    instrument: Any, product: str, side: str, turnover: int
) -> None:
    charges = charges_of(instrument, product, side, turnover)
    row = charges.row()
    parts = ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
    assert abs(row["total"] - sum(row[name] for name in parts) - row["gst"]["total"]) <= row["total"] * 1e-9 + 1e-9
    assert min(row[name] for name in parts) >= 0
    assert charges.brokerage <= 20
    assert charges.stamp_duty == 0 or side == "BUY"
    assert abs(charges.paise - charges.total * 100) <= 0.5
    if not turnover:
        assert charges.total == 0
