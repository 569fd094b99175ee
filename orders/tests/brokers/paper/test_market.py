"""Prices: seeds, bands, contracts that follow, candles, days."""

from datetime import datetime
from pathlib import Path

import pytest

from orders.brokers.paper.candles import read_paths
from orders.brokers.paper.clock import IST
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.market import Market, PriceChange

NOW = datetime(2026, 11, 23, 11, tzinfo=IST)
CATALOGUE = Catalogue.read()


def walk(seed: int, ticks: int = 200) -> list[tuple[int, ...]]:
    market = Market(CATALOGUE, seed)
    path = []
    for _ in range(ticks):
        market.tick(NOW)
        path.append(tuple(quote.last for quote in market.quotes.values()))
    return path


def test_a_seed_decides_every_price() -> None:
    assert walk(1) == walk(1)
    assert walk(1) != walk(2)


def test_prices_stay_on_the_tick_and_in_the_band() -> None:
    market = Market(CATALOGUE, 3)
    for _ in range(500):
        market.tick(NOW)
    moved = 0
    for quote in market.quotes.values():
        assert quote.lower <= quote.low <= quote.last <= quote.high <= quote.upper
        assert quote.last % max(1, quote.instrument.tick_size) == 0
        moved += quote.last != quote.close
    assert moved > 200


def test_contracts_follow_their_underlying() -> None:
    market = Market(CATALOGUE, 1)
    for quote in market.quotes.values():
        quote.frozen = not quote.instrument.underlying
    before = {key: market.quotes[i.instrument_token].last for key, i in CATALOGUE.by_key.items()}
    market.change(PriceChange("NSE:NIFTY 50", before["NSE:NIFTY 50"] + 100_00))
    market.tick(NOW)
    after = {key: market.quotes[i.instrument_token].last for key, i in CATALOGUE.by_key.items()}
    assert after["NFO:NIFTY26NOVFUT"] - before["NFO:NIFTY26NOVFUT"] == 100_00
    assert 0 < after["NFO:NIFTY26NOV26000CE"] - before["NFO:NIFTY26NOV26000CE"] < 100_00
    assert after["NFO:NIFTY26NOV26000PE"] < before["NFO:NIFTY26NOV26000PE"]
    assert after["NFO:BANKNIFTY26NOVFUT"] == before["NFO:BANKNIFTY26NOVFUT"]


def test_a_price_out_of_the_band_needs_a_rebase() -> None:
    market = Market(CATALOGUE, 1)
    with pytest.raises(ValueError, match="rebase"):
        market.change(PriceChange("NSE:SBIN", 50_000))
    quote = market.change(PriceChange("NSE:SBIN", 50_000, rebase=True))
    assert (quote.last, quote.close, quote.lower, quote.upper) == (50_000, 50_000, 45_000, 55_000)


def test_what_is_saved_is_found_again() -> None:
    market, other = Market(CATALOGUE, 1), Market(CATALOGUE, 9)
    for _ in range(50):
        market.tick(NOW)
    other.restore(market.state())
    assert other.state() == market.state()
    other.tick(NOW)
    near = [abs(other.quotes[t].last - q.last) / q.last < 0.01 for t, q in market.quotes.items() if q.last > 10_000]
    assert all(near)


def test_candles_are_walked_through_all_their_corners(tmp_path: Path) -> None:
    file = tmp_path / "candles.csv"
    file.write_text(
        "timestamp,tradingsymbol,open,high,low,close,volume\n"
        "2026-11-20T09:16:00+0530,SBIN,975,976,970,971,2000\n"
        "2026-11-20T09:15:00+0530,SBIN,970,980,965,975,1000\n",
        encoding="utf-8",
    )
    paths = read_paths(file, {"NSE:SBIN": 5}, ticks_per_minute=10)
    market = Market(CATALOGUE, 1, paths)
    quote = market.quotes[779521]
    seen = []
    for _ in range(25):
        market.tick(NOW)
        seen.append((quote.last, quote.per_tick))
    prices = [price for price, _ in seen]
    assert (prices[0], prices[9], prices[10], prices[19]) == (97000, 97500, 97500, 97100)
    assert (min(prices[:10]), max(prices[:10])) == (96500, 98000)
    assert prices[:10].index(96500) < prices[:10].index(98000)
    assert {volume for _, volume in seen[:10]} == {100}
    assert set(prices[20:]) == {97100}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("t,NOSUCH,1,1,1,1,1", "line 2: NSE:NOSUCH is not in"),
        ("t,SBIN,1,x,1,1,1", "line 2"),
        ("t,SBIN,1.001,1,1,1,1", "line 2: 1.001 is not a whole number of paise"),
    ],
)
def test_a_bad_candle_is_named(tmp_path: Path, row: str, words: str) -> None:
    file = tmp_path / "candles.csv"
    file.write_text(f"timestamp,tradingsymbol,open,high,low,close,volume\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read_paths(file, {"NSE:SBIN": 5}, 10)
