"""What the OMS asks of a broker, and the four ways in which a broker can fail.

An adapter implements `Broker` and describes itself by a `BrokerKind` (docs/adding-a-broker.md has the
checklist). It holds no database connection and retries no write: whether to try again is the services'
decision, since only they know what is durable.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from orders.broker_rules import BrokerRules
from orders.types import OrderSnapshot, PlaceInstruction, Terms, TradeSnapshot, Variety

if TYPE_CHECKING:
    from orders.brokers.limits import Limiter
    from orders.brokers.outage import Outage


class BrokerError(Exception):
    """A call to a broker failed. `code` is the broker's own error type, `raw` its answer as received."""

    def __init__(self, message: str, *, code: str = "", raw: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.raw = raw or {}


class DefiniteRefusal(BrokerError):
    """The broker understood and said no: nothing exists there because of this call."""


class Temporary(BrokerError):
    """The call was certainly not carried out and may be made again, e.g. 429, connection refused.

    `retry_after` is in seconds, where the broker or the limiter says.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class OrderBusy(Temporary):
    """Not carried out because the order is moving right now, e.g. on its way to the exchange."""


class UnknownOutcome(BrokerError):
    """Nobody knows whether the call was carried out: time-out, dropped connection, 5xx, unreadable answer."""


class SessionExpired(DefiniteRefusal):
    """The access token is dead; nothing passes until somebody logs in again."""


@dataclass(frozen=True, slots=True)
class Session:
    """The result of a login. `raw` never contains a secret."""

    access_token: str = field(repr=False)
    user_id: str
    user_name: str
    login_time: str
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


class InstrumentName(NamedTuple):
    """What an instrument is called: the broker's own `symbol` on an adapter's side, the house's on ours.

    `exchange` is the same on both. `token` is the broker's, for kinds whose rules say that it is needed.
    """

    exchange: str
    symbol: str
    token: str = ""


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """One line of the broker's instrument dump. Prices in rupees, `lot_size` in units.

    `symbol` and `token` are the broker's own; the rest are facts of the exchange in the house's words: `type` is
    EQ, FUT, CE, PE or INDEX, `segment` is NSE, BSE, NFO-FUT, NFO-OPT and the like, `name` of a derivative is its
    underlying, and `exchange_token` is the exchange's own number, 0 where the broker does not tell it.
    """

    token: str
    exchange: str
    symbol: str
    name: str
    type: str
    segment: str
    tick_size: Decimal
    lot_size: int
    strike: Decimal | None
    expiry: date | None
    last_price: Decimal
    exchange_token: int = 0


@dataclass(frozen=True, slots=True)
class HoldingRow:
    """Delivered units of one instrument and, in `unsettled`, those bought but not delivered yet; `raw` as received.

    `average_price` is what they were bought at, in rupees.
    """

    exchange: str
    symbol: str
    quantity: Decimal
    unsettled: Decimal
    average_price: Decimal
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class PositionRow:
    """The net units of one instrument and product at the broker today, negative when short; `raw` as received."""

    exchange: str
    symbol: str
    product: str
    quantity: Decimal
    average_price: Decimal
    raw: dict[str, Any] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Quote:
    """The last price of one instrument, its band for the day, and when it last traded."""

    exchange: str
    symbol: str
    last_price: Decimal
    lower_circuit: Decimal | None
    upper_circuit: Decimal | None
    previous_close: Decimal | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Funds:
    """The broker's view of the equity segment's cash, in rupees."""

    net: Decimal
    cash: Decimal
    utilised: Decimal
    raw: dict[str, Any] = field(default_factory=dict)


class Broker(Protocol):
    """One logged-in account at one broker. Every method may raise any `BrokerError`."""

    def login_url(self, *, state: str) -> str:
        """Where to send a person to log in; `state` comes back with the login."""
        ...

    def open_session(self, login_token: str) -> Session:
        """Exchange what the login page sent a person back with (`BrokerKind.read_login`) for a session."""
        ...

    def close_session(self) -> None: ...

    def place(self, instruction: PlaceInstruction) -> str:
        """Send one order and return the broker's order id: registered, not yet at the exchange."""
        ...

    def modify(self, broker_order_id: str, *, variety: Variety, terms: Terms, market_protection: Decimal | None) -> str:
        """Ask for new terms. Returning means received, not applied."""
        ...

    def cancel(self, broker_order_id: str, *, variety: Variety) -> str:
        """Ask to cancel. Returning means received, not applied."""
        ...

    def order_book(self) -> list[OrderSnapshot]: ...

    def trade_book(self) -> list[TradeSnapshot]: ...

    def order(self, broker_order_id: str) -> OrderSnapshot:
        """The present state of one order. Raises DefiniteRefusal when the broker knows no such order."""
        ...

    def order_trades(self, broker_order_id: str) -> list[TradeSnapshot]: ...

    def find_by_tag(self, tag: str) -> list[OrderSnapshot]:
        """A fresh, targeted look for a tag. An empty list means: looked, and not there."""
        ...

    def quotes(self, instruments: Sequence[InstrumentName]) -> list[Quote]:
        """Quotes for instruments; those the broker does not know are left out."""
        ...

    def instruments(self, exchanges: Iterable[str] = ()) -> list[InstrumentRow]: ...

    def funds(self) -> Funds: ...

    def positions(self) -> list[PositionRow]: ...

    def holdings(self) -> list[HoldingRow]: ...


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client needs to know of its broker account. Equal settings may share a client."""

    root_url: str
    api_key: str
    api_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    client_id: str = ""
    route_prefix: str = ""
    login_page_url: str = ""
    egress_address: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnedLogin:
    """What a broker's login page sent a person back with: our `state`, and the token to exchange for a session."""

    state: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Postback:
    """A broker's word that an order has changed. It is a hint and no more: the order is read again.

    `client_ids` are the clients that it may be about, and `is_signed_with` tells whether an API secret signed it.
    """

    client_ids: tuple[str, ...]
    broker_order_id: str
    is_signed_with: Callable[[str], bool] = field(compare=False)


class Connect(Protocol):
    """Makes the client of one broker account; its calls take their turns with the limiter, and tell the outage."""

    def __call__(self, settings: ClientSettings, limiter: "Limiter", outage: "Outage") -> Broker: ...


@dataclass(frozen=True, slots=True)
class BrokerKind:
    """All that the OMS knows of one kind of broker; one entry of `orders.brokers.registry.KINDS`.

    `read_login` reads the query that the login page sends a person back with, and raises DefiniteRefusal when nobody
    logged in. `read_postback` reads body and headers of a postback; None when it is none that this broker sends.
    """

    rules: BrokerRules
    connect: Connect
    read_login: Callable[[Mapping[str, str]], ReturnedLogin]
    read_postback: Callable[[bytes, Mapping[str, str]], Postback | None]
