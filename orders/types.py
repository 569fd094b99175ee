"""Plain values that travel between doors, services and brokers. Nothing here touches a database or a socket."""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import models


class Side(models.TextChoices):
    BUY = "BUY"
    SELL = "SELL"


class OrderType(models.TextChoices):
    """The contract's names. A STOP becomes a market order at its stop price, a STOP_LIMIT a limit order."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"


class TimeInForce(models.TextChoices):
    DAY = "DAY"
    IOC = "IOC"
    TTL = "TTL"
    GTC = "GTC"
    FOK = "FOK"


class Variety(models.TextChoices):
    REGULAR = "regular"
    AMO = "amo"
    ICEBERG = "iceberg"


PRICED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
#: Executes at what the market gives: the broker demands market protection (a percentage).
UNPRICED = frozenset({OrderType.MARKET, OrderType.STOP})
#: A market protection in percent that is none: the broker computes the width itself.
AUTOMATIC_PROTECTION = Decimal(-1)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What a trader asks for, shape already checked, rules not yet.

    Prices in rupees, quantities in units (not lots). `market_protection` is a percentage, or -1 for
    the broker's automatic one. `client_order_id` is the trader's own reference, unique per account.
    """

    account: str
    exchange: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    validity_minutes: int | None = None
    product: str = "CNC"
    variety: Variety = Variety.REGULAR
    disclosed_quantity: Decimal = Decimal(0)
    iceberg_legs: int | None = None
    market_protection: Decimal | None = None
    portfolio: str | None = None
    client_order_id: str = ""
    strategy_id: str = ""
    algo_id: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """The part of an order that a modification can change."""

    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    type: OrderType
    time_in_force: TimeInForce
    disclosed_quantity: Decimal = Decimal(0)

    def difference(self, other: "Terms") -> dict[str, dict[str, Any]]:
        """Of each term in which `other` differs its value here, under "old", and there, under "new"."""
        names = [term.name for term in fields(self) if getattr(self, term.name) != getattr(other, term.name)]
        return {"old": {n: getattr(self, n) for n in names}, "new": {n: getattr(other, n) for n in names}}


def has_other_terms(
    seen: Terms, *, type: str, quantity: Decimal, price: Decimal | None, stop_price: Decimal | None
) -> bool:
    """Whether a broker's row shows other terms than an order has.

    The price of an unpriced order is the broker's own (market protection) and says nothing.
    """
    if seen.quantity != quantity:
        return True
    if type in UNPRICED:
        return False
    return seen.price != price or (type in STOPS and seen.stop_price != stop_price)


@dataclass(frozen=True, slots=True)
class Modification:
    """The terms that a trader wants changed; None leaves a term as it is."""

    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    type: OrderType | None = None
    time_in_force: TimeInForce | None = None
    disclosed_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PlaceInstruction:
    """One order as the broker must be told it."""

    tag: str
    variety: Variety
    exchange: str
    symbol: str
    side: Side
    product: str
    terms: Terms
    validity_minutes: int | None = None
    iceberg_legs: int | None = None
    market_protection: Decimal | None = None
    algo_id: str = ""
    #: The broker's own token of the instrument, for kinds of brokers that need it.
    token: str = ""


class BrokerStatus(StrEnum):
    """What a broker's status of an order means to us. An adapter maps each that its broker documents.

    PENDING and OVERLAY (a change is on its way) prove nothing, and COMPLETE nothing beyond the quantity filled.
    CANCELLED, REJECTED and LAPSED end an order, though a fill may still follow. UNHEARD_OF is treated as live.
    """

    PENDING = "PENDING"
    OVERLAY = "OVERLAY"
    TRIGGER = "TRIGGER"
    OPEN = "OPEN"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    LAPSED = "LAPSED"
    UNHEARD_OF = "UNHEARD_OF"


@dataclass(frozen=True, slots=True)
class OrderSnapshot:
    """One row of a broker's order book: what the broker says right now, which may be old or partial.

    Only `filled_quantity` of its quantities is to be trusted, and its timestamps order nothing
    (see docs/life-of-an-order.md). `terms` are the present terms; `raw` is the row as received.
    """

    broker_order_id: str
    status: BrokerStatus
    raw_status: str
    tags: tuple[str, ...]
    exchange: str
    symbol: str
    side: Side
    product: str
    variety: str
    terms: Terms
    filled_quantity: Decimal
    average_price: Decimal
    exchange_order_id: str = ""
    message: str = ""
    broker_time: str = ""
    parent_order_id: str = ""
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class TradeSnapshot:
    """One trade as the broker reports it. `traded_at` is the exchange's time, or the broker's fill time."""

    trade_id: str
    broker_order_id: str
    exchange: str
    symbol: str
    side: Side
    product: str
    quantity: Decimal
    price: Decimal
    traded_at: datetime
    trade_date: date
    exchange_order_id: str = ""
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The broker has registered the call under its own order id. It says nothing of the exchange."""

    broker_order_id: str
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The broker has certainly not taken it. `code` is the broker's error type."""

    code: str
    message: str
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Nobody knows whether the broker has it: time-out, dropped connection, 5xx."""

    message: str
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class NotSent:
    """The call certainly never left, or bounced before acceptance, and may be made again later."""

    message: str
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class LoggedOut(Refused):
    """Refused because the session is over: it says nothing of the order."""


@dataclass(frozen=True, slots=True)
class Busy(NotSent):
    """Not carried out because the order was moving at that moment: look again, then try again."""


#: What became of one call to a broker.
Outcome = Accepted | Refused | Unconfirmed | NotSent
