"""The rules an order must pass: at the door (an error, no order id) and at risk (REJECTED later).

Belongs here: rules and their messages, pure functions of what they are given. Reading the form is
in `requests`, acting on the outcome in `exchange`.
"""

from dataclasses import dataclass

from .errors import InputError
from .instruments import Instrument
from .market import Quote
from .money import to_rupees
from .orders import Order
from .requests import OrderRequest

MAX_ICEBERG_LEGS = 50
MAX_SLICES = 10
UNKNOWN_INSTRUMENT = "The instrument you are placing an order for has either expired or does not exist."
MARKET_CLOSED = "Markets are not open for trading right now. Try placing an AMO order."
MIS_BLOCKED = "MIS (intraday) are blocked as the markets are not open for trading today. Try placing an AMO order."


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the risk system or the exchange refuses: the client's words and the raw ones."""

    message: str
    raw: str


CLOSED = Rejection(MARKET_CLOSED, "16387 : The market is closed.")


def check_terms(
    instrument: Instrument, *, quantity: int, price: int, trigger_price: int, disclosed_quantity: int
) -> None:
    """Lot, tick and disclosed quantity. Raises InputError."""
    lot = max(1, instrument.lot_size)
    if quantity % lot:
        raise InputError(f"Invalid `quantity`. It should be a multiple of the lot size {lot}.")
    tick = max(1, instrument.tick_size)
    for name, value in (("price", price), ("trigger_price", trigger_price)):
        if value % tick:
            raise InputError(
                f"Tick size for this script is {tick / 100:.2f}. Kindly enter {name} in the "
                "multiple of tick size for this script."
            )
    if not disclosed_quantity:
        return
    if not instrument.is_equity:
        raise InputError("Disclosed quantity is not allowed for this exchange.")
    if disclosed_quantity > quantity or disclosed_quantity * 10 < quantity:
        raise InputError(
            "Invalid `disclosed_quantity`. It should be at least 10% of the quantity and not more than it."
        )


def check_product(instrument: Instrument, product: str) -> None:
    """Which products an instrument is traded in. Raises InputError."""
    if product == "MTF":
        raise InputError("MTF is not enabled for this account.")
    allowed = ("CNC", "MIS") if instrument.is_equity else ("NRML", "MIS")
    if product not in allowed:
        raise InputError(f"Invalid `product`. {instrument.exchange} takes {' or '.join(allowed)}.")


def check_validity(variety: str, validity: str, ttl: int, order_type: str) -> None:
    """Validity against variety and type. Raises InputError."""
    if validity == "TTL" and not ttl:
        raise InputError("Missing or empty field `validity_ttl`")
    if ttl and validity != "TTL":
        raise InputError("`validity_ttl` is allowed with the validity TTL only.")
    if validity == "IOC" and (variety != "regular" or order_type in ("SL", "SL-M")):
        raise InputError("The validity IOC is allowed for regular MARKET and LIMIT orders only.")


def check_stop(order_type: str, is_buy: bool, price: int, trigger: int, last: int) -> None:
    """A stop's trigger against its limit and the last price. Raises InputError."""
    if order_type not in ("SL", "SL-M"):
        return
    side, wrong = ("buy", trigger <= last) if is_buy else ("sell", trigger >= last)
    if wrong:
        relation = "higher" if is_buy else "lower"
        raise InputError(
            f"Trigger price for stoploss {side} orders should be {relation} than the "
            f"last traded price ({last / 100:.2f}). You can use limit order instead."
        )
    if order_type == "SL" and (trigger > price if is_buy else trigger < price):
        relation = "above" if is_buy else "below"
        raise InputError(f"Trigger price for stoploss {side} orders cannot be {relation} the limit price.")


def check_iceberg(request: OrderRequest, instrument: Instrument) -> None:
    """Legs and their quantity. Raises InputError."""
    if request.variety != "iceberg":
        return
    legs = request.iceberg_legs
    if request.order_type not in ("LIMIT", "MARKET"):
        raise InputError("Iceberg orders take the order types LIMIT and MARKET only.")
    if not 2 <= legs <= MAX_ICEBERG_LEGS:
        raise InputError(f"Invalid `iceberg_legs`. It should be 2 to {MAX_ICEBERG_LEGS}.")
    if request.quantity < legs * max(1, instrument.lot_size):
        raise InputError("Invalid `iceberg_legs`. Every leg needs at least one lot.")
    if request.iceberg_quantity and request.iceberg_quantity * legs != request.quantity:
        raise InputError("Invalid `iceberg_quantity`. It should be quantity / iceberg_legs.")


def check_session(variety: str, product: str, is_open: bool, always_open: bool) -> None:
    """Regular orders while the market trades, AMO while it does not. Raises InputError."""
    if variety == "amo":
        if is_open and not always_open:
            raise InputError("After market orders (AMO) are taken outside market hours only. Place a regular order.")
    elif not is_open:
        raise InputError(MIS_BLOCKED if product == "MIS" else MARKET_CLOSED)


def rejection(order: Order, instrument: Instrument, quote: Quote, user_id: str, sellable: int) -> Rejection | None:
    """What the risk system says of an accepted order; None when it may go to the exchange.

    `sellable`: units the client can deliver, this order's own left out of account.
    """
    for price in filter(None, (order.price, order.trigger_price)):
        if not quote.lower <= price <= quote.upper:
            low, high = to_rupees(quote.lower), to_rupees(quote.upper)
            return Rejection(
                "Price exceeds circuit limits for the instrument. The price should be between "
                f"{low:.2f} and {high:.2f}.",
                f"RMS:Rule: Check circuit limit including square off order exceeds  for entity "
                f"account-{user_id} across exchange across segment across product ",
            )
    if order.quantity > instrument.freeze_quantity:
        return Rejection(
            f"Quantity {order.quantity} exceeds the exchange's freeze quantity of "
            f"{instrument.freeze_quantity}. Place smaller orders or use an iceberg order.",
            "16328 : Quantity exceeds the freeze quantity for the instrument",
        )
    if order.product == "CNC" and not order.is_buy and sellable < order.remaining:
        return Rejection(
            f"Insufficient holdings. Quantity {order.remaining} is required but {sellable} is "
            "available to sell. Use the product MIS to sell intraday.",
            f"RMS:Rule: Check holdings including btst quantities  for entity "
            f"account-{user_id} across exchange across segment across product ",
        )
    return None
