"""Exact numbers of requests: what is read, what is refused, and by which word."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError

from oms.lib.api.decimals import ExactDecimal

PRICE = ExactDecimal(places=4, above=D(0))
UNITS = ExactDecimal(places=0, above=D(0))


def refusal(field, value):
    with pytest.raises(ValidationError) as caught:
        field.run_validation(value)
    return caught.value.detail[0].code


@given(st.decimals(min_value=D("0.0001"), max_value=D("99999999999999.9999"), places=4))
def test_what_fits_is_read_exactly_as_number_and_as_text(value):
    assert PRICE.run_validation(value) == value
    assert PRICE.run_validation(format(value, "f")) == value


@given(st.integers(1, 10**18 - 1))
def test_units_come_back_without_decimals(number):
    for spelled in (D(number), D(f"{number}.00"), str(number), f"{number}.000"):
        read = UNITS.run_validation(spelled)
        assert (read, read.as_tuple().exponent) == (number, 0)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (D(0), "too_small"),
        (D("-0.0001"), "too_small"),
        (D("0.00001"), "too_precise"),
        (D(10) ** 14, "too_large"),
        (D("1e400"), "too_large"),
        (D("Infinity"), "too_large"),
        (D("NaN"), "too_large"),
        ("", "invalid"),
        ("1e5", "invalid"),
        ("+1", "invalid"),
        (" 1", "invalid"),
        ("1,000", "invalid"),
        ("0x10", "invalid"),
        ("१२", "invalid"),
        (".5", "invalid"),
        ("1.", "invalid"),
        ("9" * 41, "invalid"),
        (True, "invalid"),
        (1, "invalid"),  # a plain number did not come through the exact reader
        (1.5, "invalid"),
        ([], "invalid"),
        ({"amount": D(1)}, "invalid"),
        (None, "null"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_own_word(value, code):
    assert refusal(PRICE, value) == code


@pytest.mark.parametrize(("value", "code"), [(D("1.5"), "not_whole"), ("0.999", "not_whole"), (D(10**18), "too_large")])
def test_units_are_whole(value, code):
    assert refusal(UNITS, value) == code


@given(st.text(max_size=30))
def test_any_text_is_a_finite_number_or_refused(text):
    try:
        read = PRICE.run_validation(text)
    except ValidationError:
        return
    assert read.is_finite()
    assert read > 0


def test_a_bound_is_told():
    with pytest.raises(ValidationError, match="greater than 0"):
        PRICE.run_validation(D(-1))
    with pytest.raises(ValidationError, match="smaller than 100000000000000"):
        PRICE.run_validation(D(10) ** 15)
