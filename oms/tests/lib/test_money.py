"""Rounding to paise as contract notes do, and the one text of a decimal."""

from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.lib.money import decimal_text, to_paisa

amounts = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=6)


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0.005", "0.01"), ("0.0049", "0.00"), ("2.675", "2.68"), ("-0.005", "-0.01"), ("1E+3", "1000.00")],
)
def test_half_a_paisa_is_rounded_up(amount, rounded):
    assert to_paisa(D(amount)) == D(rounded)
    assert to_paisa(D(amount)).as_tuple().exponent == -2


@given(amounts)
def test_rounding_moves_by_half_a_paisa_at_most_and_once(amount):
    rounded = to_paisa(amount)
    assert abs(Fraction(rounded) - Fraction(amount)) <= Fraction(1, 200)
    assert to_paisa(rounded) == rounded


@given(amounts, amounts)
def test_rounding_keeps_the_order(one, other):
    low, high = sorted((one, other))
    assert to_paisa(low) <= to_paisa(high)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_a_text_is_exact_and_as_short_as_can_be(value):
    text = decimal_text(value)
    assert D(text) == value
    assert "E" not in text.upper()
    assert text != "-0"
    assert "." not in text or text[-1] not in "0."


@given(amounts)
def test_equal_values_have_one_text_however_they_were_written(value):
    assert decimal_text(value) == decimal_text(value.normalize()) == decimal_text(value + D("0E-9"))
