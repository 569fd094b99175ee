"""Minute candles replayed: each is walked through its four corners, on the tick, with no volume made up."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.candles import Candle, Step, read_paths
from orders.brokers.paper.candles import Path as CandlePath


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    low, high = sorted(draw(st.integers(1000, 3000)) * 5 for _ in range(2))
    steps = (high - low) // 5
    opened, close = (low + draw(st.integers(0, steps)) * 5 for _ in range(2))
    return Candle(opened, high, low, close, draw(st.integers(0, 100_000)))


def walk(minutes: list[Candle], ticks: int, tick_size: int = 5) -> list[Step]:
    path, steps = CandlePath(minutes, tick_size, ticks), []
    while (step := path.advance()) is not None:
        steps.append(step)
    return steps


@given(candles(), st.integers(4, 240))
def test_a_minute_begins_and_ends_where_it_should_and_never_leaves_its_range(candle: Candle, ticks: int) -> None:
    steps = walk([candle], ticks)
    assert len(steps) == ticks
    assert (steps[0].price, steps[-1].price) == (candle.open, candle.close)
    assert all(candle.low <= step.price <= candle.high for step in steps)
    assert all(step.price % 5 == 0 for step in steps)


@given(candles(), st.integers(4, 240))
def test_no_more_volume_is_offered_than_the_minute_had(candle: Candle, ticks: int) -> None:
    offered = sum(step.volume for step in walk([candle], ticks))
    assert candle.volume - ticks < offered <= candle.volume


@given(candles())
def test_four_ticks_are_the_four_corners_a_rising_minute_by_its_low_first(candle: Candle) -> None:
    prices = [step.price for step in walk([candle], 4)]
    rises = candle.close >= candle.open
    middle = [candle.low, candle.high] if rises else [candle.high, candle.low]
    assert prices == [candle.open, *middle, candle.close]


@given(st.lists(candles(), min_size=1, max_size=3))
def test_minutes_follow_each_other_and_then_there_are_no_more(minutes: list[Candle]) -> None:
    steps = walk(minutes, 4)
    assert [step.price for step in steps[3::4]] == [candle.close for candle in minutes]
    path = CandlePath(minutes, 5, 4)
    for _ in range(4 * len(minutes)):
        path.advance()
    assert path.advance() is path.advance() is None


def test_rows_are_played_in_the_order_of_their_time_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "candles.csv"
    file.write_text(
        "timestamp,tradingsymbol,open,high,low,close,volume\n"
        "2026-11-23T09:16,SBIN,971,971,971,971,40\n"
        "2026-11-23T09:15,SBIN,970,970,970,970,40\n"
    )
    path = read_paths(file, {"NSE:SBIN": 5}, 4)["NSE:SBIN"]
    assert [path.advance().price for _ in range(8)] == [97_000] * 4 + [97_100] * 4  # type: ignore[union-attr]


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_a_minute_has_room_for_its_corners_however_slow_the_market(ticks: int) -> None:
    assert len(walk([Candle(100, 120, 90, 110, 8)], ticks)) == 4
