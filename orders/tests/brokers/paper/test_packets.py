"""The binary frames of the ticker, read back by their published layout."""

import struct
from datetime import datetime, timedelta

import pytest

from orders.brokers.paper.clock import IST
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.market import Market, PriceChange, Quote
from orders.brokers.paper.packets import frame, packet

NOW = datetime(2026, 11, 23, 11, 30, tzinfo=IST)
TRADED = NOW - timedelta(seconds=7)


@pytest.fixture
def market() -> Market:
    market = Market(Catalogue.read(), 1, {})
    market.change(PriceChange("NSE:SBIN", 96_000, True, 500, rebase=True))
    market.change(PriceChange("NSE:SBIN", 97_000))
    return market


def quote_of(market: Market, key: str) -> Quote:
    return market.quotes[market.catalogue.by_key[key].instrument_token]


def test_the_full_packet_of_a_share(market: Market) -> None:
    quote = quote_of(market, "NSE:SBIN")
    quote.take(True, 30, 97_000, TRADED)
    quote.take(False, 10, 96_900, TRADED)
    body = packet(quote, "full", NOW)
    token, last, last_quantity, average, volume, bids, offers, opened, high, low, close = struct.unpack(
        ">11i", body[:44]
    )
    assert (token, last, last_quantity) == (quote.instrument.instrument_token, 97_000, 10)
    assert (average, volume) == (96_975, 40)  # (30 × 970 + 10 × 969) / 40, in paise
    assert (opened, high, low, close) == (96_000, 97_000, 96_000, 96_000)
    traded_at, _, _, _, told_at = struct.unpack(">5i", body[44:64])
    assert (traded_at, told_at) == (int(TRADED.timestamp()), int(NOW.timestamp()))
    levels = [struct.unpack(">iihxx", body[start : start + 12]) for start in range(64, 184, 12)]
    buys, sells = levels[:5], levels[5:]
    assert [price for _, price, _ in buys] == sorted((price for _, price, _ in buys), reverse=True)
    assert [price for _, price, _ in sells] == sorted(price for _, price, _ in sells)
    assert buys[0][1] < sells[0][1]
    assert (bids, offers) == (sum(units for units, _, _ in buys), sum(units for units, _, _ in sells))
    assert (buys[0][0], sells[0][0]) == (490, 470), "what is left of the tick on each side"


@pytest.mark.parametrize(("mode", "length"), [("ltp", 8), ("quote", 44), ("full", 184)])
def test_a_longer_packet_begins_with_the_shorter(market: Market, mode: str, length: int) -> None:
    body = packet(quote_of(market, "NSE:SBIN"), mode, NOW)
    assert len(body) == length
    assert packet(quote_of(market, "NSE:SBIN"), "full", NOW).startswith(body)


def test_an_index_has_no_depth_and_says_how_far_it_moved(market: Market) -> None:
    quote = quote_of(market, "NSE:NIFTY 50")
    quote.move(quote.close + 12_345)
    body = packet(quote, "full", NOW)
    token, last, high, _, _, close, change, told_at = struct.unpack(">8i", body)
    assert (token, last - close, high) == (quote.instrument.instrument_token, 12_345, last)
    assert (change, told_at) == (12_345, int(NOW.timestamp()))
    assert packet(quote, "quote", NOW) == body[:28]


def test_a_figure_too_large_for_its_field_is_cut_and_not_turned_negative(market: Market) -> None:
    quote = quote_of(market, "NSE:SBIN")
    quote.volume, quote.turnover = 2**40, 2**40 * 97_000
    assert struct.unpack(">i", packet(quote, "quote", NOW)[16:20]) == (2**31 - 1,)


def test_before_the_first_trade_there_is_no_time_of_one(market: Market) -> None:
    body = packet(quote_of(market, "NSE:SBIN"), "full", NOW)
    assert struct.unpack(">i", body[44:48]) == (0,)
    assert struct.unpack(">i", body[12:16]) == (97_000,), "the average is the last price then"


@pytest.mark.parametrize("bodies", [[], [b"12345678"], [b"12345678", b"x" * 184, b"y" * 44]])
def test_a_frame_is_cut_back_into_its_packets(bodies: list[bytes]) -> None:
    joined = frame(bodies)
    (count,) = struct.unpack(">H", joined[:2])
    found, rest = [], joined[2:]
    for _ in range(count):
        (length,) = struct.unpack(">H", rest[:2])
        found.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    assert (found, rest) == (bodies, b"")
