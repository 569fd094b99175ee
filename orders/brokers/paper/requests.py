"""Order forms read into typed requests: presence, type and enumerations.

Belongs here: what can be said without looking at an instrument, a price or an account; those
rules are in `checks`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from .errors import InputError
from .money import to_paise

VARIETIES = ("regular", "amo", "iceberg")
KITE_VARIETIES = (*VARIETIES, "co", "bo", "auction")
EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")
SIDES = ("BUY", "SELL")
ORDER_TYPES = ("MARKET", "LIMIT", "SL", "SL-M")
PRODUCTS = ("CNC", "NRML", "MIS", "MTF")
VALIDITIES = ("DAY", "IOC", "TTL")
TAG = re.compile(r"[A-Za-z0-9]{1,20}")

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A place form. Prices in paise; `market_protection` in percent, -1 for automatic."""

    variety: str
    exchange: str
    tradingsymbol: str
    transaction_type: str
    order_type: str
    product: str
    quantity: int
    price: int
    trigger_price: int
    validity: str
    validity_ttl: int
    disclosed_quantity: int
    market_protection: Decimal
    iceberg_legs: int
    iceberg_quantity: int
    autoslice: bool
    tag: str | None


@dataclass(frozen=True, slots=True)
class ModifyRequest:
    """A modify form: None where the field was not sent."""

    order_type: str | None
    quantity: int | None
    price: int | None
    trigger_price: int | None
    disclosed_quantity: int | None
    validity: str | None
    validity_ttl: int | None
    market_protection: Decimal | None


def read_variety(name: str) -> str:
    """The variety of a route. Raises InputError for one the exchange does not take."""
    if name in VARIETIES:
        return name
    if name in KITE_VARIETIES:
        raise InputError(
            f"The variety `{name}` is not supported by the paper exchange. Use one of {', '.join(VARIETIES)}."
        )
    raise InputError("Invalid `variety`.")


def read_order(variety: str, form: Form) -> OrderRequest:
    """Read a place form. Raises InputError naming the field."""
    order_type = _choice(form, "order_type", ORDER_TYPES)
    tag = form.get("tag") or None
    if tag and not TAG.fullmatch(tag):
        raise InputError("Invalid `tag`. It should be alphanumeric and at most 20 characters.")
    return OrderRequest(
        variety=read_variety(variety),
        exchange=_choice(form, "exchange", EXCHANGES),
        tradingsymbol=_text(form, "tradingsymbol"),
        transaction_type=_choice(form, "transaction_type", SIDES),
        order_type=order_type,
        product=_choice(form, "product", PRODUCTS),
        quantity=_whole(form, "quantity", required=True) or 0,
        price=_price(form, "price", required=order_type in ("LIMIT", "SL")) or 0,
        trigger_price=_price(form, "trigger_price", required=order_type in ("SL", "SL-M")) or 0,
        validity=_choice(form, "validity", VALIDITIES, default="DAY"),
        validity_ttl=_whole(form, "validity_ttl") or 0,
        disclosed_quantity=_whole(form, "disclosed_quantity") or 0,
        market_protection=_decimal(form, "market_protection") or Decimal(0),
        iceberg_legs=_whole(form, "iceberg_legs", required=variety == "iceberg") or 0,
        iceberg_quantity=_whole(form, "iceberg_quantity") or 0,
        autoslice=form.get("autoslice", "").lower() == "true",
        tag=tag,
    )


def read_modification(form: Form) -> ModifyRequest:
    """Read a modify form. Raises InputError naming the field."""
    return ModifyRequest(
        order_type=_choice(form, "order_type", ORDER_TYPES) if form.get("order_type") else None,
        quantity=_whole(form, "quantity"),
        price=_price(form, "price"),
        trigger_price=_price(form, "trigger_price"),
        disclosed_quantity=_whole(form, "disclosed_quantity"),
        validity=_choice(form, "validity", VALIDITIES) if form.get("validity") else None,
        validity_ttl=_whole(form, "validity_ttl"),
        market_protection=_decimal(form, "market_protection"),
    )


def _text(form: Form, name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise InputError(f"Missing or empty field `{name}`")
    return value


def _choice(form: Form, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = form.get(name) or default or _text(form, name)
    if value not in allowed:
        raise InputError(f"Invalid `{name}`. It should be one of {', '.join(allowed)}.")
    return value


def _decimal(form: Form, name: str, required: bool = False) -> Decimal | None:
    value = _text(form, name) if required else form.get(name, "")
    if not value:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > 10**12:
        raise InputError(f"Invalid request (failed to decode {name}, got: {value[:40]} (expected decimal))")
    return number


def _whole(form: Form, name: str, required: bool = False) -> int | None:
    number = _decimal(form, name, required)
    if number is None:
        return None
    if number != int(number) or number < 0 or (required and number == 0):
        raise InputError(f"Invalid `{name}`. It should be a positive whole number.")
    return int(number)


def _price(form: Form, name: str, required: bool = False) -> int | None:
    number = _decimal(form, name, required)
    if number is None:
        return None
    try:
        paise = to_paise(number)
    except ValueError as error:
        raise InputError(f"Invalid `{name}`. It should be in rupees and paise.") from error
    if paise < 0 or (required and paise == 0):
        raise InputError(f"Invalid `{name}`. It should be greater than zero.")
    return paise
