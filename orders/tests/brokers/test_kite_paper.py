"""The adapter against a running paper exchange: every method of `Broker`, and the faults of the other side."""

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal

import pytest

from orders.brokers.base import (
    Broker,
    ClientSettings,
    DefiniteRefusal,
    InstrumentName,
    SessionExpired,
    Temporary,
    UnknownOutcome,
)
from orders.brokers.kite.client import KiteBroker
from orders.brokers.kite.connection import CALL_SECONDS
from orders.brokers.kite.kinds import read_postback
from orders.brokers.limits import Limiter
from orders.brokers.outage import Outage
from orders.tests.brokers.paper.process import PaperExchange, paper_exchange, wait_for
from orders.types import BrokerStatus, OrderType, PlaceInstruction, Side, Terms, TimeInForce, Variety


class Figures:
    """A broker account without limits of ours."""

    pk = 1
    orders_per_second = orders_per_minute = orders_per_day = other_calls_per_second = 0


class NoWaiting(Limiter):
    """Quotes have a limit of their own, one a second, which would only make these tests slow."""

    def acquire(self, kind, **options):
        """At once."""


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[PaperExchange]:
    with paper_exchange(tmp_path_factory.mktemp("paper"), rate_limits=False, tick_seconds=600) as exchange:
        yield exchange


@pytest.fixture
def exchange(running) -> PaperExchange:
    running.control("DELETE", "/faults")
    running.control("POST", "/reset", {})
    running.control("POST", "/clock", {"now": "2026-11-20T10:00:00+05:30"})
    running.control("POST", "/prices", {"NSE:INFY": {"last_price": "1500", "freeze": True, "volume_per_tick": 1000}})
    return running


def connect(exchange, access_token="", call_seconds=CALL_SECONDS) -> KiteBroker:
    settings = ClientSettings(
        root_url=exchange.root,
        api_key="paper",
        api_secret="paper-secret",
        access_token=access_token,
        login_page_url=f"{exchange.root}/connect/login",
    )
    limiter = NoWaiting(Figures())
    return KiteBroker(settings, limiter, Outage(limiter, "outage:1"), call_seconds=call_seconds)


@pytest.fixture
def broker(exchange) -> Broker:
    session = connect(exchange).open_session(exchange.request_token())
    return connect(exchange, session.access_token)


def order(**changes) -> PlaceInstruction:
    terms = {
        "quantity": Decimal(10),
        "price": Decimal(1490),
        "stop_price": None,
        "type": OrderType.LIMIT,
        "time_in_force": TimeInForce.DAY,
    }
    terms |= {name: changes.pop(name) for name in list(changes) if name in terms}
    fields = {
        "tag": "TAG1",
        "variety": Variety.REGULAR,
        "exchange": "NSE",
        "symbol": "INFY",
        "side": Side.BUY,
        "product": "CNC",
    }
    return PlaceInstruction(**{**fields, **changes}, terms=Terms(**terms))


def until(broker, order_id, status):
    return wait_for(lambda: broker.order(order_id), lambda snapshot: snapshot.status == status)


def test_a_login_gives_a_session_of_the_client(exchange):
    session = connect(exchange).open_session(exchange.request_token())
    assert session.user_id == "PX0001"
    assert session.access_token
    assert "access_token" not in session.raw


def test_a_request_token_works_once(exchange):
    token = exchange.request_token()
    connect(exchange).open_session(token)
    with pytest.raises(SessionExpired):
        connect(exchange).open_session(token)


def test_a_closed_session_is_closed(broker):
    broker.close_session()
    with pytest.raises(SessionExpired):
        broker.order_book()


def test_an_order_from_open_to_cancelled(broker):
    order_id = broker.place(order())
    snapshot = until(broker, order_id, BrokerStatus.OPEN)
    assert snapshot.tags == ("TAG1",)
    assert snapshot.terms == order().terms
    assert (snapshot.side, snapshot.product, snapshot.filled_quantity) == (Side.BUY, "CNC", 0)
    assert broker.cancel(order_id, variety=Variety.REGULAR) == order_id
    until(broker, order_id, BrokerStatus.CANCELLED)


def test_a_crossing_order_fills_and_its_trades_add_up(broker):
    order_id = broker.place(order(price=Decimal("1500.5")))
    snapshot = until(broker, order_id, BrokerStatus.COMPLETE)
    trades = broker.order_trades(order_id)
    assert sum(trade.quantity for trade in trades) == snapshot.filled_quantity == 10
    assert snapshot.average_price == Decimal(1500)
    assert trades == [trade for trade in broker.trade_book() if trade.broker_order_id == order_id]
    assert trades[0].trade_date.isoformat() == "2026-11-20"
    assert trades[0].traded_at.utcoffset().total_seconds() == 0


def test_a_market_order_comes_back_as_what_the_broker_made_of_it(broker):
    order_id = broker.place(order(type=OrderType.MARKET, price=None, tag="TAGM"))
    snapshot = until(broker, order_id, BrokerStatus.COMPLETE)
    assert snapshot.terms.type == OrderType.LIMIT
    assert snapshot.terms.price > 1500
    (found,) = [one for one in broker.order_book() if one.broker_order_id == order_id]
    assert found.tags == snapshot.tags


@pytest.mark.parametrize("kind", [OrderType.STOP, OrderType.STOP_LIMIT])
def test_stop_orders_wait_for_their_trigger(broker, kind):
    price = Decimal(1521) if kind == OrderType.STOP_LIMIT else None
    order_id = broker.place(order(type=kind, price=price, stop_price=Decimal(1520)))
    terms = until(broker, order_id, BrokerStatus.TRIGGER).terms
    # A protected SL-M is held as an SL with the price that the protection allows.
    assert (terms.type, terms.stop_price) == (OrderType.STOP_LIMIT, 1520)
    assert terms.price == price if price else terms.price > 1520


def test_a_modification_is_seen_in_the_terms(broker):
    order_id = broker.place(order())
    until(broker, order_id, BrokerStatus.OPEN)
    changed = order(quantity=Decimal(12), price=Decimal("1485.5")).terms
    broker.modify(order_id, variety=Variety.REGULAR, terms=changed, market_protection=None)
    assert wait_for(lambda: broker.order(order_id), lambda snapshot: snapshot.terms == changed)


def iceberg(**changes):
    return order(variety=Variety.ICEBERG, iceberg_legs=5, tag="BERG", **changes)


def test_an_iceberg_is_one_order_whatever_its_legs(broker):
    order_id = broker.place(iceberg(price=Decimal("1500.5")))
    snapshot = until(broker, order_id, BrokerStatus.COMPLETE)
    assert (snapshot.broker_order_id, snapshot.filled_quantity, snapshot.terms.quantity) == (order_id, 10, 10)
    (found,) = broker.find_by_tag("BERG")
    assert found.average_price == 1500
    trades = broker.trade_book()
    assert {trade.broker_order_id for trade in trades} == {order_id}
    assert len({trade.trade_id for trade in trades}) == 5
    assert sum(trade.quantity for trade in trades) == 10
    assert broker.order_trades(order_id) == trades


def test_an_iceberg_between_legs_is_working_and_its_latest_leg_is_changed_and_cancelled(exchange, broker):
    exchange.control("POST", "/prices", {"NSE:INFY": {"volume_per_tick": 2}})
    order_id = broker.place(iceberg())
    until(broker, order_id, BrokerStatus.OPEN)
    better = iceberg(price=Decimal("1500.5")).terms
    broker.modify(order_id, variety=Variety.ICEBERG, terms=better, market_protection=None)
    wait_for(lambda: broker.order(order_id).filled_quantity, lambda filled: filled >= 2)
    with pytest.raises(DefiniteRefusal, match="quantity"):
        broker.modify(
            order_id, variety=Variety.ICEBERG, terms=iceberg(quantity=Decimal(20)).terms, market_protection=None
        )
    wait_for(lambda: cancelled(broker, order_id), bool)
    snapshot = until(broker, order_id, BrokerStatus.CANCELLED)
    assert snapshot.broker_order_id == order_id
    assert 2 <= snapshot.filled_quantity < 10
    rows = exchange.control("GET", "/orders?tag=BERG")
    assert len(rows) > 1
    assert not any(row["live"] for row in rows)


def test_an_iceberg_that_an_old_book_does_not_show_is_neither_changed_nor_taken_apart(exchange, broker):
    exchange.control("POST", "/prices", {"NSE:INFY": {"volume_per_tick": 0}})
    exchange.control("POST", "/faults", {"kind": "stale_book", "seconds": 30})
    order_id = broker.place(iceberg())
    better = iceberg(price=Decimal("1500.5")).terms
    with pytest.raises(Temporary, match="iceberg"):
        broker.modify(order_id, variety=Variety.ICEBERG, terms=better, market_protection=None)
    with pytest.raises(Temporary, match="iceberg"):
        broker.cancel(order_id, variety=Variety.ICEBERG)
    with pytest.raises(UnknownOutcome, match="iceberg"):
        broker.order(order_id)
    (leg,) = exchange.control("GET", "/orders?tag=BERG")
    assert (leg["quantity"], leg["live"]) == (2, True)


def cancelled(broker, order_id):
    try:
        return broker.cancel(order_id, variety=Variety.ICEBERG)
    except Temporary:
        return None


def test_a_tag_is_found_and_its_absence_is_an_answer(broker):
    order_id = broker.place(order(tag="FINDME"))
    assert [found.broker_order_id for found in broker.find_by_tag("FINDME")] == [order_id]
    assert broker.find_by_tag("NOTTHERE") == []


def test_an_order_that_does_not_exist(broker):
    with pytest.raises(DefiniteRefusal):
        broker.order("1999999999999999999")


def test_an_order_beyond_the_funds_is_rejected_and_the_reason_arrives(broker):
    def rejected():
        try:
            return broker.order(broker.place(order(quantity=Decimal(100_000), tag="TOOBIG"))).message
        except DefiniteRefusal as error:
            return error.message

    assert "margin" in rejected().lower()


@pytest.mark.parametrize(
    ("wrong", "field"), [({"price": Decimal("1490.03")}, "tick"), ({"symbol": "NOSUCH"}, "instrument")]
)
def test_a_wrong_order_is_refused_definitely(broker, wrong, field):
    with pytest.raises(DefiniteRefusal) as caught:
        broker.place(order(**wrong))
    assert field in caught.value.message.lower()
    assert broker.order_book() == []


def test_quotes_funds_instruments_and_portfolio(broker):
    (quote,) = broker.quotes([InstrumentName("NSE", "INFY"), InstrumentName("NSE", "NOSUCH")])
    assert quote.last_price == 1500
    assert quote.lower_circuit < quote.previous_close < quote.upper_circuit
    assert broker.funds().cash > 0
    rows = {row.symbol: row for row in broker.instruments(["NSE", "NFO"])}
    assert len(rows) >= 200
    assert rows["INFY"].lot_size == 1
    assert (rows["INFY"].token, rows["INFY"].exchange_token) == ("408065", 1594)
    assert rows["NIFTY 50"].type == "INDEX"


def test_the_portfolio_is_told_in_rows(exchange, broker):
    until(broker, broker.place(order(price=Decimal("1500.5"))), BrokerStatus.COMPLETE)
    (position,) = broker.positions()
    assert (position.exchange, position.symbol, position.product) == ("NSE", "INFY", "CNC")
    assert (position.quantity, position.average_price) == (10, 1500)
    assert [row for row in broker.holdings() if row.quantity <= 0 or not row.average_price] == []


def test_only_a_checksum_made_with_the_secret_is_genuine():
    def signed(secret):
        text = f"1512026-11-20 10:00:00{secret}"
        return {
            "order_id": "151",
            "order_timestamp": "2026-11-20 10:00:00",
            "checksum": hashlib.sha256(text.encode()).hexdigest(),
        }

    def is_genuine(payload):
        return read_postback(json.dumps(payload).encode(), {}).is_signed_with("paper-secret")

    assert is_genuine(signed("paper-secret"))
    assert not is_genuine(signed("another"))
    assert not is_genuine({**signed("paper-secret"), "order_id": "152"})
    for broken in (
        {},
        {"order_id": 151},
        {**signed("paper-secret"), "checksum": "ü"},
        {**signed("paper-secret"), "checksum": None},
    ):
        assert not is_genuine(broken)


def test_a_postback_says_which_order_of_whose():
    said = read_postback(b'{"user_id": "PX0001", "order_id": "151"}', {})
    assert (said.client_ids, said.broker_order_id) == (("PX0001",), "151")
    assert read_postback(b"[]", {}) is None


FAULTS = [
    ({"kind": "accept_and_drop", "route": "place"}, UnknownOutcome, 1),
    ({"kind": "drop", "route": "place"}, UnknownOutcome, 0),
    ({"kind": "http_5xx", "route": "place", "taken": True}, UnknownOutcome, 1),
    ({"kind": "html_error", "route": "place"}, UnknownOutcome, 0),
    ({"kind": "timed_out", "route": "place", "taken": True}, UnknownOutcome, 1),
    ({"kind": "http_429", "route": "place"}, Temporary, 0),
    ({"kind": "token_expiry", "route": "place"}, SessionExpired, 0),
]


@pytest.mark.parametrize(("fault", "expected", "orders_there"), FAULTS)
def test_a_fault_while_placing_is_told_as_what_it_is_and_nothing_is_sent_twice(
    exchange, broker, fault, expected, orders_there
):
    exchange.control("POST", "/faults", {**fault, "calls": 1})
    with pytest.raises(expected) as caught:
        broker.place(order(tag="FAULTY"))
    assert type(caught.value).__mro__.index(expected) <= 1
    assert len(exchange.control("GET", "/orders?tag=FAULTY")) == orders_there


def test_a_slow_broker_is_not_waited_for(exchange, broker):
    hurried = connect(exchange, broker._settings.access_token, call_seconds=0.3)
    exchange.control("POST", "/faults", {"kind": "delay", "route": "place", "seconds": 2, "calls": 1})
    with pytest.raises(UnknownOutcome):
        hurried.place(order(tag="SLOW"))
