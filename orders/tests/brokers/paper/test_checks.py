"""The rules of the door and of the risk system as tables: what just passes, and what is one step too much."""

from dataclasses import replace
from typing import Any

import pytest

from orders.brokers.paper import checks
from orders.brokers.paper.errors import InputError
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.market import Market
from orders.brokers.paper.orders import RECEIVED, Order
from orders.brokers.paper.requests import read_order

CATALOGUE = Catalogue.read()
SBIN, FUTURE, CALL = (CATALOGUE.by_key[key] for key in ("NSE:SBIN", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE"))
LOT, TICK = FUTURE.lot_size, SBIN.tick_size


def order(**given: Any) -> Order:
    fields: dict[str, Any] = {
        "order_id": "1", "user_id": "PX0001", "api_key": "paper", "day": "2026-11-23", "variety": "regular",
        "exchange": "NSE", "tradingsymbol": "SBIN", "instrument_token": SBIN.instrument_token,
        "transaction_type": "BUY", "order_type": "LIMIT", "product": "CNC", "quantity": 10, "price": 97_000,
        "trigger_price": 0, "validity": "DAY", "order_timestamp": "", "status": RECEIVED,
    }  # fmt: skip
    return Order(**(fields | given))


@pytest.mark.parametrize(
    ("instrument", "terms", "words"),
    [
        (SBIN, {}, None),
        (SBIN, {"price": 97_000 + TICK}, None),
        (SBIN, {"price": 97_001}, "Tick size for this script is"),
        (SBIN, {"trigger_price": 97_001}, "enter trigger_price in the multiple"),
        (FUTURE, {"quantity": 2 * LOT}, None),
        (FUTURE, {"quantity": LOT + 1}, f"multiple of the lot size {LOT}"),
        (SBIN, {"quantity": 100, "disclosed_quantity": 10}, None),
        (SBIN, {"quantity": 100, "disclosed_quantity": 100}, None),
        (SBIN, {"quantity": 100, "disclosed_quantity": 9}, "at least 10%"),
        (SBIN, {"quantity": 100, "disclosed_quantity": 101}, "not more than it"),
        (FUTURE, {"quantity": LOT, "disclosed_quantity": LOT}, "not allowed for this exchange"),
    ],
)
def test_terms(instrument: Any, terms: dict[str, int], words: str | None) -> None:
    given = {"quantity": LOT, "price": 0, "trigger_price": 0, "disclosed_quantity": 0} | terms
    told(words, lambda: checks.check_terms(instrument, **given))


@pytest.mark.parametrize(
    ("instrument", "product", "words"),
    [
        (SBIN, "CNC", None), (SBIN, "MIS", None), (SBIN, "NRML", "NSE takes CNC or MIS"),
        (FUTURE, "NRML", None), (CALL, "MIS", None), (CALL, "CNC", "NFO takes NRML or MIS"),
        (SBIN, "MTF", "MTF is not enabled"),
    ],
)  # fmt: skip
def test_products_of_the_cash_market_and_of_contracts(instrument: Any, product: str, words: str | None) -> None:
    told(words, lambda: checks.check_product(instrument, product))


@pytest.mark.parametrize(
    ("variety", "validity", "ttl", "order_type", "words"),
    [
        ("regular", "DAY", 0, "LIMIT", None),
        ("regular", "TTL", 5, "LIMIT", None),
        ("regular", "TTL", 0, "LIMIT", "Missing or empty field `validity_ttl`"),
        ("regular", "DAY", 5, "LIMIT", "allowed with the validity TTL only"),
        ("regular", "IOC", 0, "LIMIT", None),
        ("regular", "IOC", 0, "SL", "IOC is allowed for regular"),
        ("regular", "IOC", 0, "SL-M", "IOC is allowed for regular"),
        ("amo", "IOC", 0, "LIMIT", "IOC is allowed for regular"),
        ("iceberg", "IOC", 0, "LIMIT", "IOC is allowed for regular"),
    ],
)
def test_validities(variety: str, validity: str, ttl: int, order_type: str, words: str | None) -> None:
    told(words, lambda: checks.check_validity(variety, validity, ttl, order_type))


@pytest.mark.parametrize(
    ("order_type", "is_buy", "price", "trigger", "words"),
    [
        # The last price is 970: a buy's trigger lies above it and not above its limit; a sale's mirrored.
        ("SL", True, 980_00, 975_00, None),
        ("SL", True, 975_00, 975_00, None),
        ("SL", True, 974_00, 975_00, "buy orders cannot be above the limit price"),
        ("SL", True, 980_00, 970_00, "should be higher than the last traded price \\(970.00\\)"),
        ("SL", False, 960_00, 965_00, None),
        ("SL", False, 966_00, 965_00, "sell orders cannot be below the limit price"),
        ("SL", False, 960_00, 970_00, "should be lower than the last traded price"),
        ("SL-M", True, 0, 975_00, None),
        ("SL-M", False, 0, 975_00, "should be lower"),
        ("LIMIT", True, 900_00, 0, None),
        ("MARKET", False, 0, 0, None),
    ],
)
def test_stops(order_type: str, is_buy: bool, price: int, trigger: int, words: str | None) -> None:
    told(words, lambda: checks.check_stop(order_type, is_buy, price, trigger, 970_00))


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"iceberg_legs": 2}, None),
        ({"iceberg_legs": 50, "quantity": 100}, None),
        ({"iceberg_legs": 1}, "should be 2 to 50"),
        ({"iceberg_legs": 51, "quantity": 100}, "should be 2 to 50"),
        ({"iceberg_legs": 10, "quantity": 9}, "Every leg needs at least one lot"),
        ({"iceberg_legs": 5, "iceberg_quantity": 2}, None),
        ({"iceberg_legs": 5, "iceberg_quantity": 3}, "quantity / iceberg_legs"),
        ({"iceberg_legs": 2, "order_type": "SL", "trigger_price": 980, "price": 990}, "LIMIT and MARKET only"),
    ],
)
def test_icebergs(form: dict[str, Any], words: str | None) -> None:
    fields = {
        "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "order_type": "LIMIT", "product": "CNC",
        "quantity": 10, "price": 970,
    } | form  # fmt: skip
    request = read_order("iceberg", {name: str(value) for name, value in fields.items()})
    told(words, lambda: checks.check_iceberg(request, SBIN))
    told(None, lambda: checks.check_iceberg(replace(request, variety="regular"), SBIN))


@pytest.mark.parametrize(
    ("variety", "product", "is_open", "always_open", "words"),
    [
        ("regular", "CNC", True, False, None),
        ("regular", "CNC", False, False, "Markets are not open"),
        ("regular", "MIS", False, False, "MIS \\(intraday\\) are blocked"),
        ("amo", "CNC", False, False, None),
        ("amo", "CNC", True, False, "outside market hours only"),
        ("amo", "CNC", True, True, None),  # a market that never closes has no other time for them
    ],
)
def test_sessions(variety: str, product: str, is_open: bool, always_open: bool, words: str | None) -> None:
    told(words, lambda: checks.check_session(variety, product, is_open, always_open))


@pytest.mark.parametrize(
    ("given", "sellable", "words"),
    [
        ({}, 0, None),
        ({"price": "upper"}, 0, None),
        ({"price": "above"}, 0, "Price exceeds circuit limits"),
        ({"order_type": "SL", "price": "upper", "trigger_price": "below"}, 0, "Price exceeds circuit limits"),
        ({"quantity": SBIN.freeze_quantity}, 0, None),
        ({"quantity": SBIN.freeze_quantity + 1}, 0, "exceeds the exchange's freeze quantity"),
        ({"transaction_type": "SELL"}, 10, None),
        ({"transaction_type": "SELL"}, 9, "Insufficient holdings. Quantity 10 is required but 9 is available"),
        ({"transaction_type": "SELL", "filled_quantity": 4}, 6, None),
        ({"transaction_type": "SELL", "product": "MIS"}, 0, None),
    ],
)
def test_what_the_risk_system_refuses(given: dict[str, Any], sellable: int, words: str | None) -> None:
    quote = Market(CATALOGUE, 1, {}).quotes[SBIN.instrument_token]
    edges = {"upper": quote.upper, "above": quote.upper + 1, "below": quote.lower - 1}
    asked = order(
        **{name: edges.get(value, value) if name.endswith("price") else value for name, value in given.items()}
    )
    refused = checks.rejection(asked, SBIN, quote, "PX0001", sellable)
    if words is None:
        assert refused is None
    else:
        assert refused is not None
        assert words in refused.message
        assert refused.raw, "the raw words are what an operator searches for"


def told(words: str | None, check: Any) -> None:
    """Passes without a word, or is refused with these."""
    if words is None:
        check()
    else:
        with pytest.raises(InputError, match=words):
            check()
