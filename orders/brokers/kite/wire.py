"""Kite's order and trade rows read into our types, and our instructions written as Kite's forms.

Belongs here: field by field translation, pure. Numbers arrive as `int` or `Decimal` (the connection
parses them from the text, never through a float). A row from another platform may hold values that we
never send; only what identifies an order must be readable, the rest is taken as well as it goes.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from oms.lib.clock import IST
from oms.lib.money import decimal_text
from orders.brokers.base import DefiniteRefusal, UnknownOutcome
from orders.types import (
    AUTOMATIC_PROTECTION,
    PRICED,
    STOPS,
    UNPRICED,
    BrokerStatus,
    OrderSnapshot,
    OrderType,
    PlaceInstruction,
    Side,
    Terms,
    TimeInForce,
    TradeSnapshot,
    Variety,
)  # fmt: skip

_S = BrokerStatus
STATUSES: dict[str, BrokerStatus] = {
    "PUT ORDER REQ RECEIVED": _S.PENDING,
    "PUT ORDER REQUEST RECEIVED": _S.PENDING,
    "VALIDATION PENDING": _S.PENDING,
    "OPEN PENDING": _S.PENDING,
    "AMO REQ RECEIVED": _S.PENDING,
    "MODIFY VALIDATION PENDING": _S.OVERLAY,
    "MODIFY PENDING": _S.OVERLAY,
    "MODIFIED": _S.OVERLAY,
    "NOT MODIFIED": _S.OVERLAY,
    "CANCEL PENDING": _S.OVERLAY,
    "UPDATE": _S.OVERLAY,
    "TRIGGER PENDING": _S.TRIGGER,
    "OPEN": _S.OPEN,
    "COMPLETE": _S.COMPLETE,
    "CANCELLED": _S.CANCELLED,
    "CANCEL": _S.CANCELLED,
    "REJECTED": _S.REJECTED,
    "LAPSED": _S.LAPSED,
}
TO_KITE: dict[OrderType, str] = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "SL-M",
    OrderType.STOP_LIMIT: "SL",
}
FROM_KITE = {text: kind for kind, text in TO_KITE.items()}
VALIDITIES = {TimeInForce.DAY: "DAY", TimeInForce.IOC: "IOC", TimeInForce.TTL: "TTL"}
_SIDES = {str(side): side for side in Side}
_TIMES_IN_FORCE = {text: kind for kind, text in VALIDITIES.items()}
#: What reading a row of an unexpected shape ends in.
UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)
#: As many characters of a status are kept: an order shall not be lost over one that is never heard of, and long.
_LONGEST_STATUS = 40
_PRICE_STEP = Decimal("0.0001")
_ZERO = Decimal(0)


def order_snapshot(row: dict[str, Any]) -> OrderSnapshot:
    """One row of the order book. Raises UnknownOutcome when it does not say which order it is, or no numbers."""
    try:
        raw_status = _text(row, "status")[:_LONGEST_STATUS]
        return OrderSnapshot(
            broker_order_id=str(row["order_id"]),
            status=STATUSES.get(raw_status, _S.UNHEARD_OF),
            raw_status=raw_status,
            tags=_tags(row),
            exchange=row["exchange"],
            symbol=row["tradingsymbol"],
            side=_SIDES[row["transaction_type"]],
            product=_text(row, "product"),
            variety=_text(row, "variety"),
            terms=_terms(row),
            filled_quantity=_number(row, "filled_quantity"),
            average_price=_number(row, "average_price"),
            exchange_order_id=_text(row, "exchange_order_id"),
            message=_text(row, "status_message") or _text(row, "status_message_raw"),
            broker_time=_text(row, "exchange_update_timestamp") or _text(row, "order_timestamp"),
            parent_order_id=_text(row, "parent_order_id"),
            raw=row,
        )
    except UNREADABLE as error:
        raise UnknownOutcome(f"An order row of the broker is not readable: {error!r}", raw=row) from None


def _terms(row: dict[str, Any]) -> Terms:
    price = _price(row, "price")
    kind = FROM_KITE.get(row.get("order_type", ""))
    if kind is None:
        kind = OrderType.LIMIT if price else OrderType.MARKET
    return Terms(
        quantity=_number(row, "quantity"),
        price=price if kind in PRICED else None,
        stop_price=_price(row, "trigger_price") if kind in STOPS else None,
        type=kind,
        time_in_force=_TIMES_IN_FORCE.get(row.get("validity", ""), TimeInForce.DAY),
        disclosed_quantity=_number(row, "disclosed_quantity"),
    )


def trade_snapshot(row: dict[str, Any]) -> TradeSnapshot:
    """One row of the trade book. `order_timestamp` is a time without a date and is never read.

    Raises UnknownOutcome for a row without its key, time, side or size: a trade is never guessed.
    """
    try:
        traded_at = ist_instant(row.get("exchange_timestamp") or row["fill_timestamp"])
        return TradeSnapshot(
            trade_id=str(row["trade_id"]),
            broker_order_id=str(row["order_id"]),
            exchange=row["exchange"],
            symbol=row["tradingsymbol"],
            side=_SIDES[row["transaction_type"]],
            product=_text(row, "product"),
            quantity=finite(row["quantity"]),
            price=_rounded(finite(row["average_price"])),
            traded_at=traded_at,
            trade_date=traded_at.astimezone(IST).date(),
            exchange_order_id=_text(row, "exchange_order_id"),
            raw=row,
        )
    except UNREADABLE as error:
        raise UnknownOutcome(f"A trade row of the broker is not readable: {error!r}", raw=row) from None


def place_form(instruction: PlaceInstruction) -> dict[str, str]:
    """The form of `POST /orders/{variety}`. Raises DefiniteRefusal for terms that Kite has no word for."""
    form = {
        "exchange": instruction.exchange,
        "tradingsymbol": instruction.symbol,
        "transaction_type": str(instruction.side),
        "product": instruction.product,
        "tag": instruction.tag,
        **_terms_form(instruction.terms, instruction.market_protection),
    }
    if instruction.validity_minutes is not None:
        form["validity_ttl"] = str(instruction.validity_minutes)
    if instruction.variety == Variety.ICEBERG and instruction.iceberg_legs:
        form["iceberg_legs"] = str(instruction.iceberg_legs)
        leg, rest = divmod(instruction.terms.quantity, instruction.iceberg_legs)
        if not rest:
            form["iceberg_quantity"] = decimal_text(leg)
    if instruction.algo_id:
        form["algo_id"] = instruction.algo_id
    return form


def modify_form(terms: Terms, market_protection: Decimal | None) -> dict[str, str]:
    """The form of `PUT /orders/{variety}/{order_id}`: the complete new terms. Raises as `place_form`."""
    return _terms_form(terms, market_protection)


def _terms_form(terms: Terms, market_protection: Decimal | None) -> dict[str, str]:
    if terms.time_in_force not in VALIDITIES:
        raise DefiniteRefusal(f"Kite has no validity {terms.time_in_force}", code="Unsupported")
    form = {
        "order_type": TO_KITE[terms.type],
        "quantity": decimal_text(terms.quantity),
        "validity": VALIDITIES[terms.time_in_force],
        "disclosed_quantity": decimal_text(terms.disclosed_quantity),
    }
    if terms.type in PRICED and terms.price is not None:
        form["price"] = decimal_text(terms.price)
    if terms.type in STOPS and terms.stop_price is not None:
        form["trigger_price"] = decimal_text(terms.stop_price)
    if terms.type in UNPRICED:
        # Without any, Kite refuses MARKET and SL-M (since 2026-04-01).
        form["market_protection"] = decimal_text(market_protection or AUTOMATIC_PROTECTION)
    return form


def order_id_of(data: Any) -> str | None:
    """The order id in the answer to place, modify or cancel; None when there is none.

    A sliced order answers with its parent and children, in older documentation with a list of them.
    """
    entries = data if isinstance(data, list) else [data]
    for entry in entries:
        if isinstance(entry, dict) and entry.get("order_id"):
            return str(entry["order_id"])
    return None


def ist_instant(text: str) -> datetime:
    """`YYYY-MM-DD HH:MM:SS` in IST (or a full ISO time) as an aware UTC instant. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=IST)
    return parsed.astimezone(UTC)


def finite(value: Any) -> Decimal:
    """The number, exact. Raises ValueError for "NaN" and "Infinity", which Decimal reads and nothing counts in."""
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a number of anything")
    return number


def _tags(row: dict[str, Any]) -> tuple[str, ...]:
    tag, tags = row.get("tag"), row.get("tags") or ()
    return tuple(tags) if not tag or tag in tags else (tag, *tags)


def _text(row: dict[str, Any], name: str) -> str:
    return str(row.get(name) or "")


def _number(row: dict[str, Any], name: str) -> Decimal:
    return finite(row.get(name) or 0)


def _price(row: dict[str, Any], name: str) -> Decimal | None:
    value = _number(row, name)
    return _rounded(value) if value else None


def _rounded(price: Decimal) -> Decimal:
    """Without the noise of the floats that Kite reckons in; no tick is finer than a hundredth of a paisa."""
    exponent = price.as_tuple().exponent
    return price.quantize(_PRICE_STEP) if isinstance(exponent, int) and exponent < -4 else price
