"""A request that has been read becomes an order, or is refused at the door.

Belongs here: the synchronous rules in their order, market protection, the fields of a fresh order.
Funds are checked by `exchange`, which also takes the order in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from . import checks, protection
from .clock import Clock, stamp
from .errors import InputError
from .instruments import Catalogue, Instrument
from .market import Market, Quote
from .orders import AMO_RECEIVED, RECEIVED, Order
from .requests import ModifyRequest, OrderRequest
from .session import Session


@dataclass(frozen=True, slots=True)
class Terms:
    """What makes an order's price: type, limit, trigger (paise), and the tags of protection."""

    order_type: str
    price: int
    trigger_price: int
    tags: list[str]


def price_terms(
    instrument: Instrument, quote: Quote, order_type: str, is_buy: bool, price: int, trigger_price: int, asked: Decimal
) -> Terms:
    """Kite's form of an order: MARKET becomes LIMIT and SL-M becomes SL, at a protected price.

    Raises InputError without market protection.
    """
    stop = trigger_price if order_type in ("SL", "SL-M") else 0
    if order_type in ("LIMIT", "SL"):
        return Terms(order_type, price, stop, [])
    base = stop or quote.last
    percent = protection.percentage(instrument, asked, base)
    limit = protection.protected_price(instrument, is_buy, percent, base, (quote.lower, quote.upper))
    return Terms("SL" if stop else "LIMIT", limit, stop, protection.tags(percent))


def find(catalogue: Catalogue, request: OrderRequest, clock: Clock) -> Instrument:
    """The instrument of a request. Raises InputError."""
    instrument = catalogue.find(request.exchange, request.tradingsymbol, clock.today())
    if instrument is None or instrument.is_index:
        raise InputError(checks.UNKNOWN_INSTRUMENT)
    return instrument


def build(
    order_id: str, session: Session, request: OrderRequest, instrument: Instrument, market: Market, clock: Clock
) -> Order:
    """A fresh order. Raises InputError for what the door refuses."""
    quote = market.quotes[instrument.instrument_token]
    is_buy = request.transaction_type == "BUY"
    checks.check_product(instrument, request.product)
    checks.check_validity(request.variety, request.validity, request.validity_ttl, request.order_type)
    checks.check_terms(
        instrument,
        quantity=request.quantity,
        price=request.price,
        trigger_price=request.trigger_price,
        disclosed_quantity=request.disclosed_quantity,
    )
    checks.check_iceberg(request, instrument)
    terms = price_terms(
        instrument, quote, request.order_type, is_buy, request.price, request.trigger_price, request.market_protection
    )
    checks.check_session(request.variety, request.product, clock.is_open(), clock.mode == "open")
    checks.check_stop(request.order_type, is_buy, terms.price, terms.trigger_price, quote.last)
    now = clock.now()
    quantity, meta = first_leg(request, instrument)
    own = [request.tag] if request.tag else []
    return Order(
        order_id=order_id,
        user_id=session.user_id,
        api_key=session.api_key,
        day=now.date().isoformat(),
        variety=request.variety,
        exchange=instrument.exchange,
        tradingsymbol=instrument.tradingsymbol,
        instrument_token=instrument.instrument_token,
        transaction_type=request.transaction_type,
        order_type=terms.order_type,
        product=request.product,
        quantity=quantity,
        price=terms.price,
        trigger_price=terms.trigger_price,
        validity=request.validity,
        validity_ttl=request.validity_ttl,
        disclosed_quantity=min(request.disclosed_quantity, quantity),
        order_timestamp=stamp(now),
        status=AMO_RECEIVED if request.variety == "amo" else RECEIVED,
        tag=request.tag,
        tags=own + terms.tags + (["iceberg"] if meta else []),
        meta=meta,
        expires_at=expiry(request.validity, request.validity_ttl, now),
    )


def expiry(validity: str, ttl: int, now: datetime) -> float | None:
    """When a TTL order ends, in epoch seconds of the exchange's clock; `ttl` in minutes."""
    return (now + timedelta(minutes=ttl)).timestamp() if validity == "TTL" else None


def first_leg(request: OrderRequest, instrument: Instrument) -> tuple[int, dict[str, Any]]:
    """Quantity and `meta` of the order to place first: of an iceberg, its first leg."""
    if request.variety != "iceberg":
        return request.quantity, {}
    lot = max(1, instrument.lot_size)
    leg = -(-request.quantity // (request.iceberg_legs * lot)) * lot
    legs = -(-request.quantity // leg)
    return leg, {
        "iceberg": {
            "leg": 1,
            "legs": legs,
            "leg_quantity": leg,
            "total_quantity": request.quantity,
            "remaining_quantity": request.quantity - leg,
        }
    }


def changes(order: Order, request: ModifyRequest, instrument: Instrument, quote: Quote) -> dict[str, Any]:
    """The fields a modification sets on the order. Raises InputError."""
    order_type = request.order_type or order.order_type
    quantity = order.quantity if request.quantity is None else request.quantity
    price = order.price if request.price is None else request.price
    trigger = order.trigger_price if request.trigger_price is None else request.trigger_price
    disclosed = order.disclosed_quantity if request.disclosed_quantity is None else request.disclosed_quantity
    validity = request.validity or order.validity
    ttl = order.validity_ttl if request.validity_ttl is None else request.validity_ttl
    if quantity <= order.filled_quantity:
        raise InputError(
            f"Invalid `quantity`. {order.filled_quantity} is already filled: the "
            "total should be more, or cancel the order."
        )
    for name, value, needed in (("price", price, ("LIMIT", "SL")), ("trigger_price", trigger, ("SL", "SL-M"))):
        if order_type in needed and not value:
            raise InputError(f"Missing or empty field `{name}`")
    checks.check_validity(order.variety, validity, ttl if validity == "TTL" else 0, order_type)
    checks.check_terms(instrument, quantity=quantity, price=price, trigger_price=trigger, disclosed_quantity=disclosed)
    terms = price_terms(
        instrument, quote, order_type, order.is_buy, price, trigger, request.market_protection or Decimal(0)
    )
    if not order.triggered:
        checks.check_stop(terms.order_type, order.is_buy, terms.price, terms.trigger_price, quote.last)
    kept = [tag for tag in order.tags if not terms.tags or not tag.startswith("mktp")]
    return {
        "order_type": terms.order_type,
        "quantity": quantity,
        "price": terms.price,
        "trigger_price": terms.trigger_price,
        "disclosed_quantity": disclosed,
        "validity": validity,
        "validity_ttl": ttl if validity == "TTL" else 0,
        "tags": kept + terms.tags,
    }
