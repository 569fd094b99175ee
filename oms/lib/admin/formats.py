"""How values look on screen: rupees in lakhs and crores, times in IST with UTC on hover, coloured chips.

Everything here returns text or safe HTML for one value; nothing reads a database.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from django.db import models
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from oms.lib.clock import IST

EMPTY = mark_safe('<span class="oms-empty">–</span>')
PRICE_PLACES = 4
Column = Callable[[Any], Any]


def grouped(digits: str) -> str:
    """Indian grouping of a string of digits: three, then twos.

    >>> grouped("12345678")
    '1,23,45,678'
    """
    head, tail = digits[:-3], digits[-3:]
    pairs: list[str] = []
    while head:
        pairs.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*pairs, tail])


def rupees(amount: Decimal, places: int = 2) -> str:
    """An amount in rupees, with at least paise and at most `places` decimals.

    >>> rupees(Decimal("-123456.78")), rupees(Decimal("0.0525"), 4)
    ('-₹1,23,456.78', '₹0.0525')
    """
    rounded = abs(amount).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    whole, _, fraction = format(rounded, "f").partition(".")
    fraction = fraction.rstrip("0").ljust(2, "0")
    sign = "-" if amount < 0 and rounded else ""
    return f"{sign}₹{grouped(whole)}.{fraction}"


def units(quantity: Decimal) -> str:
    """A whole quantity with Indian grouping.

    >>> units(Decimal("-1500000"))
    '-15,00,000'
    """
    return ("-" if quantity < 0 else "") + grouped(format(abs(quantity).quantize(Decimal(1)), "f"))


def instant(at: datetime, *, precise: bool = False, year: bool = True) -> SafeString:
    """A time in IST; the same in UTC, to the microsecond, on hover."""
    local, utc = at.astimezone(IST), at.astimezone(UTC)
    text = f"{local:%-d %b %Y, %H:%M:%S}" if year else f"{local:%-d %b %H:%M:%S}"
    if precise:
        text += f".{local.microsecond // 1000:03d}"
    return format_html(
        '<time class="oms-time" datetime="{}" title="{} UTC">{}<small> IST</small></time>',
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S.%f}",
        text,
    )


def chip(text: str, tone: str = "grey", title: str = "") -> SafeString:
    """A coloured label. Tones: grey, blue, green, amber, red, violet."""
    return format_html('<span class="oms-chip oms-{}" title="{}">{}</span>', tone, title, text)


def number(text: str) -> SafeString:
    """Tabular figures, to the right."""
    return format_html('<span class="oms-num">{}</span>', text)


def mono(text: str, shown: str = "") -> SafeString:
    """An identifier or a hash; `shown` is its short form, the whole one stands on hover."""
    return format_html('<code class="oms-mono" title="{}">{}</code>', text, shown or text)


def _decimal(value: Decimal, field: models.Field[Any, Any] | None) -> SafeString:
    places = getattr(field, "decimal_places", 2)
    return number(units(value) if places == 0 else rupees(value, min(places, PRICE_PLACES)))


def value_html(value: Any, field: models.Field[Any, Any] | None = None) -> Any:
    """The usual look of a model field's value: quantities are the decimals without places, others rupees."""
    if value is None or value == "":
        return EMPTY
    if getattr(field, "choices", None):
        return dict(field.flatchoices).get(value, value)  # type: ignore[union-attr]
    if isinstance(value, bool):
        return chip("yes", "green") if value else chip("no", "grey")
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return f"{value:%-d %b %Y}"
    if isinstance(value, Decimal):
        return _decimal(value, field)
    if isinstance(value, UUID):
        return mono(str(value))
    if isinstance(value, (bytes, memoryview)):
        return mono(bytes(value).hex())
    return value


def _column(name: str, prefix: str, body: Column, label: str) -> Column:
    def column(row: Any) -> Any:
        return body(row)

    column.__name__ = f"{prefix}_{name.replace('.', '_')}"
    column.short_description = label or name.rsplit(".", 1)[-1].replace("_", " ")  # type: ignore[attr-defined]
    return column


def _get(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = getattr(row, name)
        if row is None:
            return None
    return row


def shown(name: str, label: str = "", *, places: int = 2) -> Column:
    """A list column with the usual look of its field. `places` are the decimals of money; 0 for units."""

    def body(row: Any) -> Any:
        value = _get(row, name)
        if isinstance(value, Decimal):
            return number(units(value) if places == 0 else rupees(value, places))
        return value_html(value)

    return _column(name, "col", body, label)


def money(name: str, label: str = "", *, places: int = 2) -> Column:
    """A right-aligned column of rupees."""
    return _column(name, "num", shown(name, places=places), label)


def quantity(name: str, label: str = "") -> Column:
    """A right-aligned column of whole units."""
    return _column(name, "num", shown(name, places=0), label)


def moment(name: str, label: str = "", *, precise: bool = False) -> Column:
    """A column of times, in IST, without the year (it is on hover)."""

    def body(row: Any) -> Any:
        at = _get(row, name)
        return EMPTY if at is None else instant(at, precise=precise, year=False)

    return _column(name, "col", body, label)


def chips(name: str, tones: Mapping[str, str], label: str = "") -> Column:
    """A column of coloured labels: the field's own words, the tone by value."""

    def body(row: Any) -> Any:
        value = _get(row, name)
        if not value:
            return EMPTY
        title = getattr(row, f"get_{name}_display", lambda: "")()
        return chip(str(value).replace("_", " "), tones.get(value, "grey"), title)

    return _column(name, "col", body, label)


def clipped(name: str, label: str = "") -> Column:
    """A column of text on one line, cut where it gets long; the whole of it on hover."""

    def body(row: Any) -> Any:
        text = str(_get(row, name) or "")
        return format_html('<span class="oms-clip" title="{}">{}</span>', text, text) if text else EMPTY

    return _column(name, "col", body, label)
