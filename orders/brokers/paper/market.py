"""Prices: one quote per instrument, moved by a seeded random walk, by candles or by hand.

Belongs here: last price, the day's figures, the volume a tick offers. Orders are matched against
these figures in `matching`; the market itself never looks at an order.
"""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from .candles import Path as CandlePath
from .clock import stamp
from .instruments import Catalogue, Instrument
from .money import to_rupees

TURNOVER_PER_TICK = 25_00_000_00  # Rs 25 lakh in paise, on each side
CALM = 0.35  # the chance that a price moves in a tick
DEPTH = 5


def volume_per_tick(instrument: Instrument) -> int:
    """The units one tick offers by default on each side, in whole lots and at least twenty."""
    lot = max(1, instrument.lot_size)
    return max(20, TURNOVER_PER_TICK // (instrument.last_price * lot)) * lot


@dataclass(slots=True)
class Quote:
    """Prices in paise. `buyable` and `sellable` are what is left of this tick's volume."""

    instrument: Instrument
    last: int
    close: int
    open: int
    high: int
    low: int
    lower: int
    upper: int
    per_tick: int
    buyable: int
    sellable: int
    rng: Random
    frozen: bool = False
    volume: int = 0
    turnover: int = 0
    last_quantity: int = 0
    traded_at: str | None = None
    anchor: tuple[int, int] = (0, 0)
    path: CandlePath | None = None

    def take(self, is_buy: bool, quantity: int, price: int, at: datetime) -> None:
        """A trade uses up volume and shows in the day's figures."""
        if is_buy:
            self.buyable -= quantity
        else:
            self.sellable -= quantity
        self.volume += quantity
        self.turnover += quantity * price
        self.last_quantity = quantity
        self.traded_at = stamp(at)

    def refill(self) -> None:
        """A new tick offers its volume."""
        self.buyable = self.sellable = self.per_tick

    def move(self, price: int) -> None:
        """Set the last price, inside the band."""
        price = max(self.lower, min(self.upper, price))
        self.last = price
        self.high, self.low = max(self.high, price), min(self.low, price)

    def start_day(self, close: int) -> None:
        """A new day around the previous `close`."""
        self.close = self.open = self.high = self.low = self.last = close
        self.lower, self.upper = self.instrument.band(close)
        self.volume = self.turnover = 0


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A quote changed by hand: None leaves a thing as it is; `rebase` starts its day anew there."""

    key: str
    last_price: int | None = None
    freeze: bool | None = None
    per_tick: int | None = None
    rebase: bool = False


@dataclass
class Market:
    """All quotes by token. Two markets with one seed move alike, tick by tick."""

    catalogue: Catalogue
    seed: int
    paths: dict[str, CandlePath] = field(default_factory=dict)
    quotes: dict[int, Quote] = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Every quote as the instrument list has it, and the walks from their start."""
        self.quotes = {i.instrument_token: self._quote(i) for i in self.catalogue.by_token.values()}
        for quote in self.quotes.values():
            self._anchor(quote)

    def tick(self, at: datetime) -> None:
        """Every quote moves on and offers new volume. Underlyings first: contracts follow them."""
        followers = []
        for quote in self.quotes.values():
            quote.refill()
            if quote.frozen:
                continue
            if quote.path:
                self._replay(quote, quote.path, at)
            elif quote.instrument.underlying:
                followers.append(quote)
            elif quote.rng.random() < CALM:
                self._walk(quote, at)
        for quote in followers:
            self._follow(quote, at)

    def check(self, change: PriceChange) -> Quote:
        """The quote a change is for. Raises KeyError for an unknown key, ValueError for a price off
        the tick or, without `rebase`, outside the band."""
        quote = self.quotes[self.catalogue.by_key[change.key].instrument_token]
        tick = max(1, quote.instrument.tick_size)
        price = change.last_price
        if price is not None and (price <= 0 or price % tick):
            raise ValueError(f"{change.key}: last_price must be a positive multiple of {tick / 100}")
        if price is not None and not change.rebase and not quote.lower <= price <= quote.upper:
            raise ValueError(
                f"{change.key}: last_price must lie within {quote.lower / 100} and "
                f"{quote.upper / 100}, or rebase must be true"
            )
        if change.per_tick is not None and change.per_tick < 0:
            raise ValueError(f"{change.key}: volume_per_tick must not be negative")
        return quote

    def change(self, change: PriceChange) -> Quote:
        """Change a quote by hand; its tick's volume is renewed. Raises as `check` does."""
        quote = self.check(change)
        if change.last_price is not None:
            if change.rebase:
                quote.start_day(change.last_price)
            quote.move(change.last_price)
            self._anchor(quote)
        if change.per_tick is not None:
            quote.per_tick = change.per_tick
        if change.freeze is not None:
            quote.frozen = change.freeze
        quote.refill()
        return quote

    def start_day(self) -> None:
        """A new day: last prices become previous closes."""
        for quote in self.quotes.values():
            quote.start_day(quote.last)
            self._anchor(quote)

    def state(self) -> dict[str, list[Any]]:
        """What a restart must find again, by key."""
        return {
            q.instrument.key: [
                q.last,
                q.close,
                q.open,
                q.high,
                q.low,
                q.volume,
                q.turnover,
                q.per_tick,
                q.frozen,
                q.traded_at,
            ]
            for q in self.quotes.values()
        }

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Take back what `state` gave; instruments no longer listed are passed over."""
        for key, figures in state.items():
            if key not in self.catalogue.by_key:
                continue
            q = self.quotes[self.catalogue.by_key[key].instrument_token]
            (q.last, q.close, q.open, q.high, q.low, q.volume, q.turnover, q.per_tick, q.frozen, q.traded_at) = figures
            q.lower, q.upper = q.instrument.band(q.close)
        for quote in self.quotes.values():
            self._anchor(quote)

    def _quote(self, instrument: Instrument) -> Quote:
        price, units = instrument.last_price, volume_per_tick(instrument)
        lower, upper = instrument.band(price)
        return Quote(
            instrument,
            price,
            price,
            price,
            price,
            price,
            lower,
            upper,
            units,
            units,
            units,
            Random(f"{self.seed}:{instrument.instrument_token}"),  # noqa: S311 - repeatable, not secret
            path=self.paths.get(instrument.key),
        )

    def _spot(self, quote: Quote) -> int:
        found = self.catalogue.by_key.get(quote.instrument.underlying or "")
        return self.quotes[found.instrument_token].last if found else 0

    def _anchor(self, quote: Quote) -> None:
        quote.anchor = (quote.last, self._spot(quote))

    def _walk(self, quote: Quote, at: datetime) -> None:
        tick = max(1, quote.instrument.tick_size)
        step = max(1, round(quote.last * 0.0004 / tick))
        pull = (quote.close - quote.last) / max(1, quote.close) * 4  # back to the close, gently
        sign = 1 if quote.rng.random() < 0.5 + pull else -1
        quote.move(quote.last + sign * quote.rng.randint(1, step) * tick)
        self._print(quote, at)

    def _follow(self, quote: Quote, at: datetime) -> None:
        """Contracts move with their underlying: futures one for one, options by moneyness."""
        price, spot_then = quote.anchor
        spot = self._spot(quote)
        moved = round((spot - spot_then) * _delta(quote.instrument, spot_then))
        tick = quote.instrument.tick_size
        price = max(tick, (price + moved) // tick * tick)
        if price != quote.last:
            quote.move(price)
            self._print(quote, at)

    def _replay(self, quote: Quote, path: CandlePath, at: datetime) -> None:
        step = path.advance()
        if step:
            quote.move(step.price)
            quote.per_tick = quote.buyable = quote.sellable = step.volume
            self._print(quote, at)

    def _print(self, quote: Quote, at: datetime) -> None:
        """Other people's trades: a tenth of the tick's volume."""
        units = 0 if quote.instrument.is_index else max(1, quote.per_tick // 10)
        quote.volume += units
        quote.turnover += units * quote.last
        quote.last_quantity = units
        quote.traded_at = stamp(at)


def _delta(instrument: Instrument, spot: int) -> float:
    """Rupees a contract moves for one rupee of its underlying: a straight line by moneyness."""
    if not instrument.is_option:
        return 1.0
    call = max(0.02, min(0.98, 0.5 + (spot - instrument.strike) / (0.1 * spot))) if spot else 0.5
    return call if instrument.instrument_type == "CE" else call - 1


def depth(quote: Quote) -> dict[str, list[dict[str, Any]]]:
    """Five levels a side around the last price, for display: orders trade at the last price."""
    tick = max(1, quote.instrument.tick_size)
    if quote.instrument.is_index:
        empty = {"price": 0, "quantity": 0, "orders": 0}
        return {"buy": [empty] * DEPTH, "sell": [empty] * DEPTH}

    def level(price: int, units: int, step: int) -> dict[str, Any]:
        inside = quote.lower <= price <= quote.upper and units > 0
        return {
            "price": to_rupees(price) if inside else 0,
            "quantity": units * (step + 1) if inside else 0,
            "orders": 2 * step + 1 if inside else 0,
        }

    return {
        "buy": [level(quote.last - n * tick, quote.sellable, n) for n in range(DEPTH)],
        "sell": [level(quote.last + (n + 1) * tick, quote.buyable, n) for n in range(DEPTH)],
    }
