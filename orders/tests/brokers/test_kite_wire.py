"""Kite's rows into our types and our instructions into its forms."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orders.brokers.base import DefiniteRefusal, UnknownOutcome
from orders.brokers.kite import market, wire
from orders.models import Order
from orders.types import (
    BrokerStatus,
    OrderType,
    PlaceInstruction,
    Side,
    Terms,
    TimeInForce,
    Variety,
)

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "kite-mocks"

ROW = {
    "order_id": "1953341975595868160",
    "exchange_order_id": None,
    "parent_order_id": None,
    "status": "OPEN",
    "status_message": None,
    "order_timestamp": "2026-11-20 09:16:00",
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "order_type": "LIMIT",
    "transaction_type": "BUY",
    "validity": "DAY",
    "product": "CNC",
    "quantity": 10,
    "disclosed_quantity": 0,
    "price": Decimal("1545.2"),
    "trigger_price": 0,
    "average_price": 0,
    "filled_quantity": 0,
    "tag": None,
    "tags": [],
}


def row(**changes):
    return {**ROW, **changes}


STATUSES = [
    ("PUT ORDER REQ RECEIVED", BrokerStatus.PENDING),
    ("PUT ORDER REQUEST RECEIVED", BrokerStatus.PENDING),
    ("VALIDATION PENDING", BrokerStatus.PENDING),
    ("OPEN PENDING", BrokerStatus.PENDING),
    ("AMO REQ RECEIVED", BrokerStatus.PENDING),
    ("MODIFY VALIDATION PENDING", BrokerStatus.OVERLAY),
    ("MODIFY PENDING", BrokerStatus.OVERLAY),
    ("MODIFIED", BrokerStatus.OVERLAY),
    ("NOT MODIFIED", BrokerStatus.OVERLAY),
    ("CANCEL PENDING", BrokerStatus.OVERLAY),
    ("UPDATE", BrokerStatus.OVERLAY),
    ("TRIGGER PENDING", BrokerStatus.TRIGGER),
    ("OPEN", BrokerStatus.OPEN),
    ("COMPLETE", BrokerStatus.COMPLETE),
    ("CANCELLED", BrokerStatus.CANCELLED),
    ("CANCEL", BrokerStatus.CANCELLED),
    ("REJECTED", BrokerStatus.REJECTED),
    ("LAPSED", BrokerStatus.LAPSED),
    ("TELEPORTED", BrokerStatus.UNHEARD_OF),
    ("", BrokerStatus.UNHEARD_OF),
]


@pytest.mark.parametrize(("text", "status"), STATUSES)
def test_every_status(text, status):
    snapshot = wire.order_snapshot(row(status=text))
    assert (snapshot.status, snapshot.raw_status) == (status, text)


def test_of_a_status_only_so_much_is_kept_as_an_order_has_room_for():
    snapshot = wire.order_snapshot(row(status="S" * 41))
    assert (snapshot.status, snapshot.raw_status) == (BrokerStatus.UNHEARD_OF, "S" * 40)
    assert Order._meta.get_field("broker_status").max_length == 40


@pytest.mark.parametrize(
    ("tag", "tags", "expected"),
    [
        (None, None, ()),
        ("ABC", [], ("ABC",)),
        ("ABC", ["ABC"], ("ABC",)),
        (None, ["mktp", "mktp:2.00"], ("mktp", "mktp:2.00")),
        ("ABC", ["iceberg"], ("ABC", "iceberg")),
    ],
)
def test_tags_come_from_both_fields(tag, tags, expected):
    assert wire.order_snapshot(row(tag=tag, tags=tags)).tags == expected


@pytest.mark.parametrize(
    ("given", "kind", "price", "stop_price"),
    [
        ({"order_type": "LIMIT"}, OrderType.LIMIT, Decimal("1545.2"), None),
        ({"order_type": "MARKET", "price": 0}, OrderType.MARKET, None, None),
        ({"order_type": "MARKET", "price": Decimal("1545.2")}, OrderType.MARKET, None, None),
        ({"order_type": "SL", "trigger_price": 1540}, OrderType.STOP_LIMIT, Decimal("1545.2"), Decimal(1540)),
        ({"order_type": "SL-M", "price": 0, "trigger_price": 1540}, OrderType.STOP, None, Decimal(1540)),
        ({"order_type": "FUTURISTIC"}, OrderType.LIMIT, Decimal("1545.2"), None),
        ({"order_type": "FUTURISTIC", "price": 0}, OrderType.MARKET, None, None),
    ],
)
def test_terms(given, kind, price, stop_price):
    terms = wire.order_snapshot(row(**given)).terms
    assert (terms.type, terms.price, terms.stop_price) == (kind, price, stop_price)


def test_the_noise_of_floats_is_not_a_changed_price():
    assert wire.order_snapshot(row(price=Decimal("109.40000000000001"))).terms.price == Decimal("109.4")


@pytest.mark.parametrize("missing", ["order_id", "exchange", "tradingsymbol", "transaction_type"])
def test_a_row_that_does_not_say_which_order_it_is_fails_the_whole_reading(missing):
    with pytest.raises(UnknownOutcome, match=missing):
        wire.order_snapshot({name: value for name, value in ROW.items() if name != missing})


@pytest.mark.parametrize(
    "read",
    [
        lambda: wire.order_snapshot(row(quantity="ten")),
        lambda: wire.order_snapshot("OPEN"),
        lambda: wire.order_snapshot(row(quantity="NaN")),
        lambda: wire.order_snapshot(row(filled_quantity="Infinity")),
        lambda: wire.order_snapshot(row(price="NaN")),
        lambda: wire.order_snapshot(row(average_price="-Infinity")),
        lambda: market.quotes_of({"NSE:INFY": {"last_price": "NaN"}}),
        lambda: market.quotes_of({"NSE:INFY": {"last_price": 1, "upper_circuit_limit": "Infinity"}}),
        lambda: market.quotes_of({"NSE:INFY": {"timestamp": "2026-11-20 09:16:00"}}),
        lambda: market.funds_of({"net": 1}),
    ],
)
def test_an_answer_of_an_unexpected_shape_is_a_failed_reading_and_no_crash(read):
    with pytest.raises(UnknownOutcome, match="not readable"):
        read()


def test_a_row_from_another_platform_is_taken_as_well_as_it_goes():
    odd = wire.order_snapshot(row(variety="auction", validity="EOS", product="CO", filled_quantity=None))
    assert (odd.variety, odd.product, odd.filled_quantity) == ("auction", "CO", 0)
    assert odd.terms.time_in_force == TimeInForce.DAY


TRADE = {
    "trade_id": "10000000",
    "order_id": "2",
    "exchange": "MCX",
    "tradingsymbol": "GOLDPETAL",
    "product": "NRML",
    "average_price": Decimal("4852.5"),
    "quantity": 3,
    "transaction_type": "SELL",
    "fill_timestamp": "2026-11-20 16:00:36",
    "order_timestamp": "16:00:36",
    "exchange_timestamp": "2026-11-20 16:00:35",
}


def test_a_trade_has_an_instant_in_utc_and_a_date_in_india():
    trade = wire.trade_snapshot({**TRADE, "exchange_timestamp": "2026-11-21 00:10:00"})
    assert trade.traded_at == datetime(2026, 11, 20, 18, 40, tzinfo=UTC)
    assert trade.trade_date == date(2026, 11, 21)
    assert (trade.side, trade.quantity, trade.price) == (Side.SELL, 3, Decimal("4852.5"))


def test_without_the_exchanges_time_the_brokers_fill_time_counts():
    trade = wire.trade_snapshot({**TRADE, "exchange_timestamp": None})
    assert trade.traded_at == datetime(2026, 11, 20, 10, 30, 36, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": None},
        {"average_price": "n/a"},
        {"quantity": "NaN"},
        {"quantity": "Infinity"},
        {"average_price": "sNaN"},
        {"trade_id": ...},
        {"fill_timestamp": "16:00", "exchange_timestamp": None},
    ],
)
def test_a_trade_is_never_guessed(wrong):
    trade = {name: value for name, value in {**TRADE, **wrong}.items() if value is not ...}
    with pytest.raises(UnknownOutcome):
        wire.trade_snapshot(trade)


def instruction(**changes):
    terms = {
        "quantity": Decimal("1E+1"),
        "price": Decimal("1545.2000"),
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


FORM = {
    "exchange": "NSE",
    "tradingsymbol": "INFY",
    "transaction_type": "BUY",
    "product": "CNC",
    "tag": "TAG1",
    "quantity": "10",
    "validity": "DAY",
    "disclosed_quantity": "0",
}
FORMS = [
    ({}, {"order_type": "LIMIT", "price": "1545.2"}),
    ({"type": OrderType.MARKET, "price": None}, {"order_type": "MARKET", "market_protection": "-1"}),
    (
        {"type": OrderType.MARKET, "price": None, "market_protection": Decimal("2.50")},
        {"order_type": "MARKET", "market_protection": "2.5"},
    ),
    (
        {"type": OrderType.STOP, "price": None, "stop_price": Decimal(1500)},
        {"order_type": "SL-M", "trigger_price": "1500", "market_protection": "-1"},
    ),
    (
        {"type": OrderType.STOP_LIMIT, "stop_price": Decimal(1550)},
        {"order_type": "SL", "price": "1545.2", "trigger_price": "1550"},
    ),
    (
        {"time_in_force": TimeInForce.TTL, "validity_minutes": 5},
        {"order_type": "LIMIT", "price": "1545.2", "validity": "TTL", "validity_ttl": "5"},
    ),
    (
        {"variety": Variety.ICEBERG, "iceberg_legs": 5},
        {"order_type": "LIMIT", "price": "1545.2", "iceberg_legs": "5", "iceberg_quantity": "2"},
    ),
    ({"algo_id": "ALGO7"}, {"order_type": "LIMIT", "price": "1545.2", "algo_id": "ALGO7"}),
]


@pytest.mark.parametrize(("given", "expected"), FORMS)
def test_place_forms(given, expected):
    assert wire.place_form(instruction(**given)) == {**FORM, **expected}


@pytest.mark.parametrize("validity", [TimeInForce.GTC, TimeInForce.FOK])
def test_a_validity_that_kite_does_not_have_is_refused_before_sending(validity):
    with pytest.raises(DefiniteRefusal, match=validity):
        wire.place_form(instruction(time_in_force=validity))


@pytest.mark.parametrize(
    ("data", "order_id"),
    [
        ({"order_id": "151"}, "151"),
        ({"order_id": "1", "children": [{"order_id": "2"}, {"error": {"code": 400}}]}, "1"),
        ([{"error": {"code": 400}}, {"order_id": "7"}], "7"),
        ([{"error": {"code": 400}}], None),
        ({}, None),
        (True, None),
        (None, None),
    ],
)
def test_order_ids_of_both_generations_of_answers(data, order_id):
    assert wire.order_id_of(data) == order_id


HEADER = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)
DUMP = f"""{HEADER}
408065,1594,INFY,INFOSYS,1545.20,,0,0.10,1,EQ,NSE,NSE
12073986,47164,NIFTY26NOVFUT,"NIFTY, 50",0.0,2026-11-24,,0.1,75,FUT,NFO-FUT,NFO
"""


def test_the_instrument_dump():
    infy, future = market.instruments_of(DUMP)
    assert (infy.token, infy.symbol, infy.tick_size, infy.strike, infy.expiry) == (
        "408065",
        "INFY",
        Decimal("0.10"),
        None,
        None,
    )
    assert (future.name, future.lot_size, future.strike, future.expiry) == ("NIFTY, 50", 75, None, date(2026, 11, 24))
    assert [row.exchange for row in market.instruments_of(DUMP, ["NFO"])] == ["NFO"]


def test_an_index_is_listed_as_an_equity_and_told_as_an_index():
    (row,) = market.instruments_of(f"{HEADER}\n256265,1001,NIFTY 50,NIFTY 50,26050,,0,0,0,EQ,INDICES,NSE\n")
    assert (row.type, row.token, row.exchange_token) == ("INDEX", "256265", 1001)


def test_holdings_and_positions():
    row = {
        "tradingsymbol": "INFY",
        "exchange": "NSE",
        "quantity": 8,
        "t1_quantity": 2,
        "average_price": Decimal("1500.5"),
    }
    (held,) = market.holdings_of([row])
    assert (held.exchange, held.symbol, held.quantity, held.unsettled) == ("NSE", "INFY", 8, 2)
    assert held.average_price == Decimal("1500.5")
    (short,) = market.positions_of({"net": [row | {"product": "MIS", "quantity": -5}], "day": []})
    assert (short.symbol, short.product, short.quantity) == ("INFY", "MIS", -5)
    for unreadable in (None, [{}], [row | {"quantity": "many"}]):
        with pytest.raises(UnknownOutcome):
            market.holdings_of(unreadable)
        with pytest.raises(UnknownOutcome):
            market.positions_of({"net": unreadable})


def test_an_unreadable_line_of_the_dump_is_named():
    with pytest.raises(UnknownOutcome, match="Line 2"):
        market.instruments_of(DUMP.replace("408065", "many"))


def sample(name):
    if not SAMPLES.is_dir():
        pytest.skip("Kite's published samples are not beside this checkout")
    text = (SAMPLES / name).read_text()
    return json.loads(text, parse_float=Decimal)["data"] if name.endswith(".json") else text


def test_kites_own_samples_are_understood():
    orders = [wire.order_snapshot(one) for one in sample("orders.json")]
    assert {order.status for order in orders} == {BrokerStatus.COMPLETE}
    assert all(order.filled_quantity == order.terms.quantity for order in orders)
    trades = [wire.trade_snapshot(one) for one in sample("order_trades.json")]
    assert trades[0].traded_at == datetime(2021, 5, 31, 10, 30, 36, tzinfo=UTC)
    (quote,) = market.quotes_of(sample("quote.json"))
    assert (quote.symbol, quote.last_price, quote.upper_circuit) == ("INFY", Decimal("1412.95"), Decimal("1528.6"))
    assert quote.previous_close == Decimal("1389.65")
    assert len(market.instruments_of(sample("instruments_all.csv"))) > 50
    assert market.funds_of(sample("margins_equity.json")).net > 0
