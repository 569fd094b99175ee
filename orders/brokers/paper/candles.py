"""Replay of minute candles from a CSV file.

Belongs here: reading `timestamp,tradingsymbol,open,high,low,close,volume` (with `exchange` if not
NSE) and spreading each candle over the ticks of its minute. Which quote follows is in `market`.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path as FilePath

from .money import to_paise


@dataclass(frozen=True, slots=True)
class Step:
    """One tick of a candle: price in paise, units offered."""

    price: int
    volume: int


@dataclass(frozen=True, slots=True)
class Candle:
    """A minute: prices in paise, volume in units."""

    open: int
    high: int
    low: int
    close: int
    volume: int

    def corners(self) -> tuple[int, int, int, int]:
        """The way a minute is walked: a rising one by its low first, a falling one by its high."""
        if self.close >= self.open:
            return self.open, self.low, self.high, self.close
        return self.open, self.high, self.low, self.close


class Path:
    """One instrument's candles as ticks; stays at the last close when they end."""

    def __init__(self, candles: list[Candle], tick_size: int, ticks_per_minute: int) -> None:
        self._steps = self._walk(candles, max(1, tick_size), max(4, ticks_per_minute))

    def advance(self) -> Step | None:
        """The next tick, or None when the candles have ended."""
        return next(self._steps, None)

    @staticmethod
    def _walk(candles: list[Candle], tick: int, ticks: int) -> Iterator[Step]:
        for candle in candles:
            corners = candle.corners()
            for number in range(ticks):
                leg, part = divmod(number * 3 / (ticks - 1), 1)
                start = corners[int(leg)]
                end = corners[min(3, int(leg) + 1)]
                price = round((start + (end - start) * part) / tick) * tick
                yield Step(price, candle.volume // ticks)


def read_paths(file: FilePath, tick_sizes: dict[str, int], ticks_per_minute: int) -> dict[str, Path]:
    """Paths by instrument key. Raises ValueError naming the line that does not fit."""
    candles: dict[str, list[tuple[str, Candle]]] = {}
    with file.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        for fields in reader:
            try:
                key = f"{fields.get('exchange') or 'NSE'}:{fields['tradingsymbol']}"
                if key not in tick_sizes:
                    raise ValueError(f"{key} is not in the instrument list")
                prices = (to_paise(Decimal(fields[name])) for name in ("open", "high", "low", "close"))
                opened, high, low, close = prices
                candle = Candle(opened, high, low, close, int(fields["volume"]))
            except (KeyError, ValueError, ArithmeticError) as error:
                raise ValueError(f"{file.name} line {reader.line_num}: {error}") from error
            candles.setdefault(key, []).append((fields["timestamp"], candle))
    return {
        key: Path([candle for _, candle in sorted(rows, key=lambda row: row[0])], tick_sizes[key], ticks_per_minute)
        for key, rows in candles.items()
    }
