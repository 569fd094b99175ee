"""The made-up broker's adapter and kind: everything that a broker needs in this system, in one small module."""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode

from oms.lib.clock import IST
from orders.broker_rules import BrokerRules, Rates
from orders.brokers.base import (
    BrokerError,
    BrokerKind,
    ClientSettings,
    DefiniteRefusal,
    Funds,
    HoldingRow,
    InstrumentName,
    InstrumentRow,
    OrderBusy,
    PositionRow,
    Postback,
    Quote,
    ReturnedLogin,
    Session,
    SessionExpired,
    UnknownOutcome,
)
from orders.brokers.limits import CallKind, Limiter
from orders.brokers.outage import Outage
from orders.tests.brokers.made_up.house import DOOR_CLOSED, HANDS_FULL, NO, Grumble, MadeUpHouse
from orders.types import (
    BrokerStatus,
    OrderSnapshot,
    OrderType,
    PlaceInstruction,
    Side,
    Terms,
    TimeInForce,
    TradeSnapshot,
    Variety,
)

RULES = BrokerRules(
    name="Made-up Broker",
    session_ends=time(3, 30),
    rates=Rates(
        orders_per_second=7, orders_per_minute=300, orders_per_day=2000, modifications_per_order=9,
        other_calls_per_second=50,
    ),
    quotes_per_second=20,
    shows_within=timedelta(seconds=20),
    needs_tokens=True,
)  # fmt: skip
STATUSES = {
    "ON THE WALL": BrokerStatus.OPEN,
    "SETTLED": BrokerStatus.COMPLETE,
    "TORN UP": BrokerStatus.CANCELLED,
    "THROWN OUT": BrokerStatus.REJECTED,
}
SIDES = {Side.BUY: "take", Side.SELL: "give"}
OTHER_SIDE = {word: side for side, word in SIDES.items()}
FAILURES: dict[int, Callable[[str], BrokerError]] = {
    NO: DefiniteRefusal, HANDS_FULL: OrderBusy, DOOR_CLOSED: SessionExpired,
}  # fmt: skip


class MadeUpBroker:
    """One account at the made-up broker. See `orders.brokers.base.Broker`."""

    def __init__(self, house: MadeUpHouse, settings: ClientSettings, limiter: Limiter, outage: Outage) -> None:
        self._house, self._settings, self._limiter, self._outage = house, settings, limiter, outage

    @contextmanager
    def _call(self, kind: CallKind = CallKind.READ) -> Iterator[str]:
        self._limiter.acquire(kind, wait=2)
        try:
            if kind is CallKind.READ and self._settings.access_token:
                self._house.check(self._settings.access_token)
            yield self._settings.access_token
        except Grumble as grumble:
            raise FAILURES.get(grumble.number, UnknownOutcome)(grumble.words) from None
        self._outage.worked()

    def login_url(self, *, state: str) -> str:
        return "https://login.made-up.example/enter?" + urlencode({"key": self._settings.api_key, "back": state})

    def open_session(self, login_token: str) -> Session:
        with self._call(CallKind.QUOTE):
            door = self._house.enter(login_token)
        return Session(access_token=door["pass"], user_id=door["who"], user_name="", login_time="")

    def close_session(self) -> None:
        self._house.passes.discard(self._settings.access_token)

    def place(self, instruction: PlaceInstruction) -> str:
        terms = _slip(instruction.terms) | {
            "ref": instruction.tag, "mkt": instruction.exchange, "tok": instruction.token,
            "bs": SIDES[instruction.side], "prd": instruction.product,
        }  # fmt: skip
        with self._call(CallKind.ORDER) as ticket:
            return self._house.take(ticket, terms)

    def modify(self, broker_order_id: str, *, variety: Variety, terms: Terms, market_protection: Decimal | None) -> str:
        with self._call(CallKind.MODIFY) as ticket:
            self._house.alter(ticket, broker_order_id, _slip(terms))
        return broker_order_id

    def cancel(self, broker_order_id: str, *, variety: Variety) -> str:
        with self._call(CallKind.CANCEL) as ticket:
            self._house.alter(ticket, broker_order_id, {"st": "TORN UP"})
        return broker_order_id

    def order_book(self) -> list[OrderSnapshot]:
        with self._call():
            return [_snapshot(slip) for slip in self._house.slips.values()]

    def trade_book(self) -> list[TradeSnapshot]:
        with self._call():
            return [_trade(deal) for deal in self._house.deals]

    def order(self, broker_order_id: str) -> OrderSnapshot:
        for snapshot in self.order_book():
            if snapshot.broker_order_id == broker_order_id:
                return snapshot
        raise DefiniteRefusal("No such slip")

    def order_trades(self, broker_order_id: str) -> list[TradeSnapshot]:
        return [trade for trade in self.trade_book() if trade.broker_order_id == broker_order_id]

    def find_by_tag(self, tag: str) -> list[OrderSnapshot]:
        return [snapshot for snapshot in self.order_book() if tag in snapshot.tags]

    def quotes(self, instruments: Sequence[InstrumentName]) -> list[Quote]:
        with self._call(CallKind.QUOTE):
            by_token = {row["tok"]: row for row in self._house.listed}
        rows = [by_token[name.token] for name in instruments if name.token in by_token]
        return [
            Quote(
                exchange=row["mkt"], symbol=row["ins"], last_price=Decimal(row["last"]), lower_circuit=None,
                upper_circuit=None, previous_close=None, at=None,
            )
            for row in rows
        ]  # fmt: skip

    def instruments(self, exchanges: Iterable[str] = ()) -> list[InstrumentRow]:
        with self._call():
            return [_instrument(row) for row in self._house.listed]

    def funds(self) -> Funds:
        return Funds(net=Decimal(0), cash=Decimal(0), utilised=Decimal(0))

    def positions(self) -> list[PositionRow]:
        return []

    def holdings(self) -> list[HoldingRow]:
        with self._call():
            return [
                HoldingRow(row["mkt"], row["ins"], Decimal(row["units"]), Decimal(0), Decimal(row["paid"]))
                for row in self._house.cellar
            ]


def _slip(terms: Terms) -> dict[str, Any]:
    return {"qty": str(terms.quantity), "px": str(terms.price or 0), "kind": "L" if terms.price else "M"}


def _snapshot(slip: Mapping[str, Any]) -> OrderSnapshot:
    return OrderSnapshot(
        broker_order_id=slip["no"], status=STATUSES.get(slip["st"], BrokerStatus.UNHEARD_OF), raw_status=slip["st"],
        tags=(slip["ref"],), exchange=slip["mkt"], symbol=slip["ins"], side=OTHER_SIDE[slip["bs"]],
        product=slip["prd"], variety=Variety.REGULAR, filled_quantity=Decimal(slip["done"]),
        average_price=Decimal(slip["avg"]), raw=dict(slip),
        terms=Terms(
            quantity=Decimal(slip["qty"]), price=Decimal(slip["px"]) or None, stop_price=None,
            type=OrderType.LIMIT if slip["kind"] == "L" else OrderType.MARKET, time_in_force=TimeInForce.DAY,
        ),
    )  # fmt: skip


def _trade(deal: Mapping[str, Any]) -> TradeSnapshot:
    at = datetime.now(UTC)
    return TradeSnapshot(
        trade_id=deal["id"], broker_order_id=deal["no"], exchange=deal["mkt"], symbol=deal["ins"],
        side=OTHER_SIDE[deal["bs"]], product=deal["prd"], quantity=Decimal(deal["qty"]), price=Decimal(deal["px"]),
        traded_at=at, trade_date=at.astimezone(IST).date(),
    )  # fmt: skip


def _instrument(row: Mapping[str, Any]) -> InstrumentRow:
    expiry = row.get("ends")
    return InstrumentRow(
        token=row["tok"], exchange=row["mkt"], symbol=row["ins"], name=row["of"], type="FUT" if expiry else "EQ",
        segment="NFO-FUT" if expiry else row["mkt"], tick_size=Decimal(row["step"]), lot_size=row["lot"], strike=None,
        expiry=date.fromisoformat(expiry) if expiry else None, last_price=Decimal(row["last"]),
        exchange_token=row["number"],
    )  # fmt: skip


def read_login(query: Mapping[str, str]) -> ReturnedLogin:
    """The grant that the login page sent a person back with."""
    if "grant" not in query:
        raise DefiniteRefusal("The login page granted nothing.")
    return ReturnedLogin(query.get("back", ""), query["grant"])


def read_postback(body: bytes, headers: Mapping[str, str]) -> Postback | None:
    """A form with the slip's number, sealed by the secret as a whole."""
    form = parse_qs(body.decode(errors="replace"))
    if not {"no", "who"} <= form.keys():
        return None
    seal = headers.get("X-Seal", "")
    return Postback(
        tuple(form["who"]), form["no"][0],
        lambda secret: hmac.compare_digest(hmac.new(secret.encode(), body, sha256).hexdigest(), seal),
    )  # fmt: skip


def made_up(house: MadeUpHouse) -> BrokerKind:
    """The kind of broker that speaks to one house."""

    def connect(settings: ClientSettings, limiter: Limiter, outage: Outage) -> MadeUpBroker:
        return MadeUpBroker(house, settings, limiter, outage)

    return BrokerKind(rules=RULES, connect=connect, read_login=read_login, read_postback=read_postback)
