"""What the rules look at: the proposed order and everything around it, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum


class Denial(StrEnum):
    """Why an order is refused before it leaves the house. Stable: clients branch on these codes."""

    ACCOUNT_INACTIVE = "ACCOUNT_INACTIVE"
    PRODUCT_NOT_ALLOWED = "PRODUCT_NOT_ALLOWED"
    INSTRUMENT_UNKNOWN = "INSTRUMENT_UNKNOWN"
    INSTRUMENT_NOT_TRADABLE = "INSTRUMENT_NOT_TRADABLE"
    INSTRUMENT_EXPIRED = "INSTRUMENT_EXPIRED"
    NO_BROKER = "NO_BROKER"
    NO_RATE = "NO_RATE"
    MARKET_CLOSED = "MARKET_CLOSED"
    TIME_IN_FORCE_UNSUPPORTED = "TIME_IN_FORCE_UNSUPPORTED"
    TICK_SIZE = "TICK_SIZE"
    LOT_SIZE = "LOT_SIZE"
    FREEZE_QUANTITY = "FREEZE_QUANTITY"
    DISCLOSED_QUANTITY = "DISCLOSED_QUANTITY"
    PRICE_BAND = "PRICE_BAND"
    PRICE_RELATION = "PRICE_RELATION"
    NO_FRESH_PRICE = "NO_FRESH_PRICE"
    ORDER_QUANTITY = "ORDER_QUANTITY"
    ORDER_VALUE = "ORDER_VALUE"
    OPEN_VALUE = "OPEN_VALUE"
    POSITION = "POSITION"
    ORDER_RATE = "ORDER_RATE"
    DUPLICATE = "DUPLICATE"
    KILL_SWITCH = "KILL_SWITCH"
    ALGO_UNKNOWN = "ALGO_UNKNOWN"
    ALGO_SUSPENDED = "ALGO_SUSPENDED"
    INSUFFICIENT_HOLDINGS = "INSUFFICIENT_HOLDINGS"
    INSUFFICIENT_CAPITAL = "INSUFFICIENT_CAPITAL"


@dataclass(frozen=True, slots=True)
class Contract:
    """The instrument's rules for the day. Prices in rupees; None where the exchange gives none."""

    is_tradable: bool
    tick_size: Decimal
    lot_size: int
    freeze_quantity: Decimal | None
    lower_circuit: Decimal | None
    upper_circuit: Decimal | None
    expiry: date | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an order that is to be changed uses already, all of it counted in the surroundings too.

    Of its `quantity` units so many are `executed`. `value` is the worst-case value in rupees of the whole quantity at
    the present terms, None when no price is known; `open_value` is how much of `Surroundings.open_value` is its own.
    `stop_price` is the trigger that it has, fired or not. `loses_units_only`: the change takes units away and alters
    nothing else.
    """

    quantity: Decimal
    executed: Decimal
    value: Decimal | None
    open_value: Decimal
    stop_price: Decimal | None
    loses_units_only: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """One order as proposed. `value` is its worst-case value in rupees, None when no price is known.

    `closes` are the units of an existing position that it would close; the rest opens. `replaces` is None for a new
    order; for a change it is what the order uses already, and everything else here is the order as it would be.
    """

    side: str
    type: str
    product: str
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    disclosed_quantity: Decimal
    time_in_force: str
    is_amo: bool
    value: Decimal | None
    closes: Decimal
    replaces: Exposure | None = None

    @property
    def unexecuted(self) -> Decimal:
        """Units that may still execute."""
        return self.quantity - (self.replaces.executed if self.replaces else 0)

    @property
    def only_closes(self) -> bool:
        """Whatever of it executes makes an existing position smaller."""
        return self.closes == self.unexecuted


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit in force: what it allows, and which version of which scope says so."""

    value: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Limits:
    """The strictest limit of each kind over house, account and algorithm; None means unlimited."""

    order_quantity: Limit | None = None
    order_value: Limit | None = None
    open_value: Limit | None = None
    position_quantity: Limit | None = None
    orders_per_second: Limit | None = None
    duplicate_window: Limit | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is around the order at this instant, under the account's lock.

    `open_value` sums working and unconfirmed orders in rupees. `projected_position` is the signed
    position if this and every working order of its side executed. `last_price` is None unless fresh.
    """

    trade_date: date
    account_is_active: bool
    products: Sequence[str]
    contract: Contract | None
    has_broker: bool
    market_is_open: bool
    mode: str
    mode_source: str
    algo_named: bool
    algo_status: str
    orders_waiting: int
    open_value: Decimal
    projected_position: Decimal
    is_duplicate: bool
    last_price: Decimal | None
    limits: Limits = field(default_factory=Limits)
