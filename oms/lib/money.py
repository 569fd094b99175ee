"""Exact decimals: paisa rounding, and the text that goes on the wire and into the event log."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

PAISA = Decimal("0.01")
AVERAGE = Decimal("0.00000001")
ZERO = Decimal(0)


def to_paisa(amount: Decimal) -> Decimal:
    """`amount` in rupees rounded half up to whole paise, as contract notes do."""
    return amount.quantize(PAISA, ROUND_HALF_UP)


def average(amount: Decimal, units: Decimal) -> Decimal:
    """`amount` per unit to eight decimals, half to even: as average prices are kept. `units` must not be zero."""
    return (amount / units).quantize(AVERAGE, ROUND_HALF_EVEN)


def decimal_text(value: Decimal) -> str:
    """The shortest exact text of `value`: no exponent, no trailing zeros, no negative zero.

    >>> decimal_text(Decimal("100.5000")), decimal_text(Decimal("1E+2")), decimal_text(Decimal("-0.0"))
    ('100.5', '100', '0')
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
