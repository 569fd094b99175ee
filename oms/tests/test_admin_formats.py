"""How money, quantities and times look."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.admin.accounts import masked
from oms.lib.admin.formats import grouped, instant, rupees, units
from oms.templatetags.oms_admin import gap


@pytest.mark.parametrize(
    ("amount", "places", "text"),
    [
        ("0", 2, "₹0.00"),
        ("999.5", 2, "₹999.50"),
        ("1000", 2, "₹1,000.00"),
        ("123456.78", 2, "₹1,23,456.78"),
        ("-12345678.9", 2, "-₹1,23,45,678.90"),
        ("1234567890123.45", 2, "₹12,34,56,78,90,123.45"),
        ("0.005", 2, "₹0.01"),
        ("-0.001", 2, "₹0.00"),
        ("812.5000", 4, "₹812.50"),
        ("0.0525", 4, "₹0.0525"),
        ("812.12345678", 4, "₹812.1235"),
    ],
)
def test_rupees_are_grouped_as_in_india(amount: str, places: int, text: str) -> None:
    assert rupees(Decimal(amount), places) == text


@given(st.decimals(min_value=-(10**15), max_value=10**15, places=2))
def test_no_digit_is_lost_or_made_up(amount: Decimal) -> None:
    assert Decimal(rupees(amount).replace("₹", "").replace(",", "")) == amount


@given(st.integers(min_value=0, max_value=10**18))
def test_groups_are_three_then_twos(number: int) -> None:
    first, *rest = grouped(str(number)).split(",")
    assert 1 <= len(first) <= 3
    if rest:
        assert len(first) <= 2
        assert len(rest[-1]) == 3
        assert all(len(group) == 2 for group in rest[:-1])


def test_quantities_have_no_decimals() -> None:
    assert units(Decimal(-1500000)) == "-15,00,000"
    assert units(Decimal(75)) == "75"


def test_a_time_is_shown_in_india_and_hovers_in_utc() -> None:
    text = instant(datetime(2026, 3, 1, 20, 15, 30, 123456, UTC), precise=True)
    assert "2 Mar 2026, 01:45:30.123" in text
    assert "IST" in text
    assert 'title="2026-03-01 20:15:30.123456 UTC"' in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0005, "+0 ms"), (0.25, "+250 ms"), (7.02, "+7.0 s"), (125, "+2 min 5 s"), (7380, "+2 h 3 min")],
)
def test_gaps_come_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert gap(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(("pan", "shown"), [("ABCPD1234F", "••••••234F"), ("", "")])
def test_a_pan_is_masked(pan: str, shown: str) -> None:
    assert masked(pan) == shown
