"""`KiteBroker`: Kite's routes as the `Broker` Protocol.

Belongs here: which route answers which question, and which of Kite's rate buckets it draws on.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from orders.brokers.base import (
    ClientSettings,
    DefiniteRefusal,
    Funds,
    HoldingRow,
    InstrumentName,
    InstrumentRow,
    PositionRow,
    Quote,
    Session,
    Temporary,
    UnknownOutcome,
)
from orders.brokers.kite import market, wire
from orders.brokers.kite.connection import CALL_SECONDS, Connection
from orders.brokers.kite.failures import TooManyRequests, failure_of
from orders.brokers.kite.iceberg import Iceberg, Icebergs, fold_orders, fold_trades
from orders.brokers.kite.rereading import Translations
from orders.brokers.limits import CallKind, Limiter
from orders.brokers.outage import Outage
from orders.types import OrderSnapshot, PlaceInstruction, Terms, TradeSnapshot, Variety

LOGIN_PAGE = "https://kite.zerodha.com/connect/login"
INSTRUMENTS_PER_QUOTE = 500
NO_SUCH_ICEBERG = "The order book does not show this iceberg now"
READ_AGAIN_SECONDS = 0.5
#: Parts of the session answer that may be kept: who logged in, and nothing that opens a door.
_PUBLIC_SESSION_FIELDS = ("user_id", "user_name", "user_type", "broker", "exchanges", "products", "login_time")
#: How long a call may wait for its turn, seconds. A cancel is worth more patience than a poll.
_PATIENCE = {CallKind.ORDER: 1.0, CallKind.MODIFY: 2.0, CallKind.CANCEL: 3.0, CallKind.READ: 2.0, CallKind.QUOTE: 2.0}


class KiteBroker:
    """One account at Kite, or at anything that speaks Kite v3. See `orders.brokers.base.Broker`."""

    def __init__(
        self, settings: ClientSettings, limiter: Limiter, outage: Outage, *, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._settings, self._limiter, self._outage = settings, limiter, outage
        #: As of the last reading of the order book.
        self._icebergs: Icebergs = {}
        self._order_rows = Translations("order_id", wire.order_snapshot)
        self._trade_rows = Translations("trade_id", wire.trade_snapshot)
        self._connection = Connection(
            settings.root_url,
            route_prefix=settings.route_prefix,
            api_key=settings.api_key,
            access_token=settings.access_token,
            egress_address=settings.egress_address,
            call_seconds=call_seconds,
        )

    # --- session

    def login_url(self, *, state: str) -> str:
        page = self._settings.login_page_url or LOGIN_PAGE
        query = {"v": "3", "api_key": self._settings.api_key, "redirect_params": urlencode({"state": state})}
        return f"{page}?{urlencode(query, quote_via=quote)}"

    def open_session(self, login_token: str) -> Session:
        key, secret = self._settings.api_key, self._settings.api_secret
        form = {
            "api_key": key,
            "request_token": login_token,
            "checksum": sha256(f"{key}{login_token}{secret}".encode()).hexdigest(),
        }
        data = self._write(CallKind.READ, "POST", "/session/token", form=form, anonymous=True)
        try:
            return Session(
                access_token=data["access_token"],
                user_id=data["user_id"],
                user_name=data.get("user_name") or "",
                login_time=data.get("login_time") or "",
                raw={name: data[name] for name in _PUBLIC_SESSION_FIELDS if name in data},
            )
        except (KeyError, TypeError, AttributeError):
            raise UnknownOutcome("The broker's answer to the login holds no session") from None

    def close_session(self) -> None:
        params = {"api_key": self._settings.api_key, "access_token": self._settings.access_token}
        self._write(CallKind.READ, "DELETE", "/session/token", params=params)

    # --- orders

    def place(self, instruction: PlaceInstruction) -> str:
        form = wire.place_form(instruction)
        legs = (instruction.iceberg_legs or 1) if instruction.variety == Variety.ICEBERG else 1
        route = f"/orders/{instruction.variety}"
        return self._order_call(CallKind.ORDER, "POST", route, form=form, orders_of_the_day=legs)

    def modify(self, broker_order_id: str, *, variety: Variety, terms: Terms, market_protection: Decimal | None) -> str:
        form = wire.modify_form(terms, market_protection)
        iceberg = self._iceberg(variety, broker_order_id)
        if iceberg is not None:
            if terms.quantity != iceberg.total_quantity:
                raise DefiniteRefusal("The quantity of an iceberg order cannot be changed", code="Unsupported")
            del form["quantity"]  # the row that is changed is a leg, with a quantity of its own
            self._order_call(CallKind.MODIFY, "PUT", _order_route(variety, iceberg.latest), form=form)
            return broker_order_id
        return self._order_call(CallKind.MODIFY, "PUT", _order_route(variety, broker_order_id), form=form)

    def cancel(self, broker_order_id: str, *, variety: Variety) -> str:
        iceberg = self._iceberg(variety, broker_order_id)
        leg = iceberg.latest if iceberg else broker_order_id
        self._order_call(CallKind.CANCEL, "DELETE", _order_route(variety, leg))
        return broker_order_id

    def _iceberg(self, variety: str, broker_order_id: str) -> Iceberg | None:
        """The legs of an order as they are now; None for what is not an iceberg.

        Raises Temporary while the book does not show it: sent to the first leg, the terms of the whole would
        multiply the order.
        """
        if variety != Variety.ICEBERG:
            return None
        _, icebergs = self._book_position()
        if broker_order_id not in icebergs:
            raise Temporary(NO_SUCH_ICEBERG, retry_after=READ_AGAIN_SECONDS)
        return icebergs[broker_order_id]

    def _order_call(self, kind: CallKind, method: str, route: str, **how: Any) -> str:
        data = self._write(kind, method, route, **how)
        order_id = wire.order_id_of(data)
        if order_id is not None:
            return order_id
        raise _refusal_of_slices(data) or UnknownOutcome("The broker's answer names no order", raw={"data": data})

    # --- what the broker knows

    def order_book(self) -> list[OrderSnapshot]:
        return self._book_position()[0]

    def _book_position(self) -> tuple[list[OrderSnapshot], Icebergs]:
        snapshots, icebergs = fold_orders(self._order_rows.of(self._rows("/orders", remember=True)))
        self._icebergs = icebergs  # other threads may read the book at the same time
        return snapshots, icebergs

    def trade_book(self) -> list[TradeSnapshot]:
        return fold_trades(self._trade_rows.of(self._rows("/trades", remember=True)), self._icebergs)

    def order(self, broker_order_id: str) -> OrderSnapshot:
        history = self._rows(f"/orders/{quote(broker_order_id, safe='')}")
        if not history:
            raise UnknownOutcome("The broker's history of the order is empty")
        snapshot = wire.order_snapshot(history[-1])
        if snapshot.variety != Variety.ICEBERG or not snapshot.tags:
            return snapshot
        # A leg's history knows nothing of the other legs.
        snapshots, icebergs = self._book_position()
        iceberg = icebergs.get(broker_order_id)
        for whole in snapshots:
            if iceberg and whole.broker_order_id == iceberg.head:
                return whole
        # A leg alone would pass for an order of its own, which nobody placed.
        raise UnknownOutcome(NO_SUCH_ICEBERG)

    def order_trades(self, broker_order_id: str) -> list[TradeSnapshot]:
        if broker_order_id in self._icebergs:
            head = self._head(broker_order_id)
            return [trade for trade in self.trade_book() if trade.broker_order_id == head]
        rows = self._rows(f"/orders/{quote(broker_order_id, safe='')}/trades")
        return [wire.trade_snapshot(row) for row in rows]

    def _head(self, broker_order_id: str) -> str:
        iceberg = self._icebergs.get(broker_order_id)
        return iceberg.head if iceberg else broker_order_id

    def find_by_tag(self, tag: str) -> list[OrderSnapshot]:
        # Kite cannot search: a targeted look is the book, read again.
        return [snapshot for snapshot in self.order_book() if tag in snapshot.tags]

    def quotes(self, instruments: Sequence[InstrumentName]) -> list[Quote]:
        found: list[Quote] = []
        for start in range(0, len(instruments), INSTRUMENTS_PER_QUOTE):
            names = [f"{name.exchange}:{name.symbol}" for name in instruments[start : start + INSTRUMENTS_PER_QUOTE]]
            found.extend(market.quotes_of(self._read("/quote", {"i": names}, kind=CallKind.QUOTE) or {}))
        return found

    def instruments(self, exchanges: Iterable[str] = ()) -> list[InstrumentRow]:
        with self._turn(CallKind.READ):
            text = self._connection.read_text("/instruments")
        return market.instruments_of(text, exchanges)

    def funds(self) -> Funds:
        return market.funds_of(self._read("/user/margins/equity"))

    def positions(self) -> list[PositionRow]:
        return market.positions_of(self._read("/portfolio/positions"))

    def holdings(self) -> list[HoldingRow]:
        return market.holdings_of(self._read("/portfolio/holdings"))

    # --- one call, in its turn

    def _read(self, route: str, params: Any = None, *, kind: CallKind = CallKind.READ, remember: bool = False) -> Any:
        with self._turn(kind):
            return self._connection.read(route, params, remember=remember)

    def _rows(self, route: str, *, remember: bool = False) -> list[Any]:
        rows = self._read(route, remember=remember)
        if isinstance(rows, list):
            return rows
        if rows:
            raise UnknownOutcome(f"The broker's answer to {route} is no list")
        return []

    def _write(self, kind: CallKind, method: str, route: str, *, orders_of_the_day: int = 1, **how: Any) -> Any:
        with self._turn(kind, orders_of_the_day=orders_of_the_day):
            return self._connection.write(method, route, **how)

    @contextmanager
    def _turn(self, kind: CallKind, *, orders_of_the_day: int = 1) -> Iterator[None]:
        self._limiter.acquire(kind, wait=_PATIENCE[kind], orders_of_the_day=orders_of_the_day)
        try:
            yield
        except TooManyRequests as error:
            self._limiter.back_off(kind, error.retry_after)
            raise
        except UnknownOutcome:
            self._outage.failed()
            raise
        except DefiniteRefusal:
            self._outage.worked()
            raise
        self._outage.worked()


def _order_route(variety: str, broker_order_id: str) -> str:
    return f"/orders/{variety}/{quote(broker_order_id, safe='')}"


def _refusal_of_slices(data: Any) -> Exception | None:
    """Of an answer in which every slice was refused, the first refusal."""
    entries = data.get("children") if isinstance(data, dict) else data
    if not isinstance(entries, list):
        return None
    errors = [entry["error"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("error"), dict)]
    if not errors or len(errors) != len(entries):
        return None
    first = errors[0]
    code = str(first.get("code"))
    status = int(code) if code.isdecimal() and len(code) == 3 else 400  # it may be the broker's own number
    body = {"status": "error", "error_type": first.get("error_type"), "message": first.get("message")}
    return failure_of(status, body, method="POST")
