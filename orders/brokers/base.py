"""What the OMS asks of a broker, and the four ways in which a broker can fail.

An adapter implements `Broker` (docs/adding-a-broker.md has the checklist). It holds no database
connection and retries no write: whether to try again is the services' decision, since only they
know what is durable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from orders.types import OrderSnapshot, PlaceInstruction, Terms, TradeSnapshot, Variety


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


@dataclass(frozen=True, slots=True)
class InstrumentRow:
    """One line of the broker's instrument dump. Prices in rupees, `lot_size` in units."""

    token: int
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
        """Where to send a person to log in; `state` comes back with the request token."""
        ...

    def open_session(self, request_token: str) -> Session: ...

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

    def quotes(self, instruments: Sequence[tuple[str, str]]) -> list[Quote]:
        """Quotes for (exchange, symbol) pairs; those the broker does not know are left out."""
        ...

    def instruments(self, exchanges: Iterable[str] = ()) -> list[InstrumentRow]: ...

    def funds(self) -> Funds: ...

    def positions(self) -> dict[str, Any]: ...

    def holdings(self) -> list[dict[str, Any]]: ...

    def is_genuine_postback(self, payload: dict[str, Any]) -> bool:
        """Whether a postback carries the right checksum. It is a hint all the same: re-read the order."""
        ...
