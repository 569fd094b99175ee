"""What can be traded: the rows of an instrument file in the columns of Kite's dump.

Belongs here: one instrument's fixed facts, including those Kite's dump leaves out (freeze
quantity, band), and finding it. Its moving price is in `market`.
"""

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from .money import to_paise

DEFAULT_FILE = Path(__file__).with_name("instruments.csv")
FREEZE_QUANTITY = {"NIFTY": 1800, "BANKNIFTY": 600}
STOCK_FREEZE_LOTS = 40
EQUITY_FREEZE_VALUE = 25_00_00_000_00  # Rs 25 crore in paise
UNDERLYING_SYMBOL = {"NIFTY": "NIFTY 50", "BANKNIFTY": "NIFTY BANK"}


@dataclass(frozen=True, slots=True)
class Instrument:
    """One row. Prices in paise; `last_price` is the previous close the day starts from."""

    instrument_token: int
    exchange_token: int
    tradingsymbol: str
    name: str
    last_price: int
    expiry: date | None
    strike: int
    tick_size: int
    lot_size: int
    instrument_type: str
    segment: str
    exchange: str

    @property
    def key(self) -> str:
        """The name quotes use: `NSE:SBIN`."""
        return f"{self.exchange}:{self.tradingsymbol}"

    @property
    def is_index(self) -> bool:
        """Quoted, never traded."""
        return self.segment == "INDICES"

    @property
    def is_equity(self) -> bool:
        """Held in the depository and traded unit by unit."""
        return self.segment == "NSE"

    @property
    def is_option(self) -> bool:
        """Bought for a premium."""
        return self.instrument_type in ("CE", "PE")

    @property
    def underlying(self) -> str | None:
        """The key of the instrument a contract follows."""
        if self.expiry is None:
            return None
        return f"NSE:{UNDERLYING_SYMBOL.get(self.name, self.name)}"

    @property
    def freeze_quantity(self) -> int:
        """The largest quantity of one order."""
        if self.is_equity:
            return max(1, EQUITY_FREEZE_VALUE // self.last_price)
        return FREEZE_QUANTITY.get(self.name, self.lot_size * STOCK_FREEZE_LOTS)

    @property
    def isin(self) -> str:
        """A made-up 12-character ISIN; the prefix INP says it is paper."""
        return f"INP{self.exchange_token:09d}"

    def band(self, close: int) -> tuple[int, int]:
        """Lower and upper circuit limit, in paise, around the previous `close`.

        10 % for cash and futures. An option may move by its own price or half of its strike's
        tenth, whichever is more, down to one tick.
        """
        move = max(close, self.strike // 20) if self.is_option else close // 10
        tick = max(self.tick_size, 1)
        return max(tick, -(-(close - move) // tick) * tick), (close + move) // tick * tick


def _row(fields: dict[str, str]) -> Instrument:
    return Instrument(
        instrument_token=int(fields["instrument_token"]),
        exchange_token=int(fields["exchange_token"]),
        tradingsymbol=fields["tradingsymbol"],
        name=fields["name"],
        last_price=to_paise(Decimal(fields["last_price"])),
        expiry=date.fromisoformat(fields["expiry"]) if fields["expiry"] else None,
        strike=to_paise(Decimal(fields["strike"] or "0")),
        tick_size=to_paise(Decimal(fields["tick_size"])),
        lot_size=int(fields["lot_size"]),
        instrument_type=fields["instrument_type"],
        segment=fields["segment"],
        exchange=fields["exchange"],
    )


class Catalogue:
    """Every instrument, by key and by token."""

    def __init__(self, instruments: list[Instrument]) -> None:
        self.by_key = {instrument.key: instrument for instrument in instruments}
        self.by_token = {instrument.instrument_token: instrument for instrument in instruments}

    @classmethod
    def read(cls, path: Path = DEFAULT_FILE) -> "Catalogue":
        """Read a CSV file. Raises ValueError naming the line that does not parse."""
        instruments = []
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            for fields in reader:
                try:
                    instruments.append(_row(fields))
                except (KeyError, ValueError, ArithmeticError) as error:
                    raise ValueError(f"{path.name} line {reader.line_num}: {error}") from error
        return cls(instruments)

    def find(self, exchange: str, tradingsymbol: str, today: date) -> Instrument | None:
        """The instrument, or None when there is none or its contract has expired."""
        found = self.by_key.get(f"{exchange}:{tradingsymbol}")
        expired = found is not None and found.expiry is not None and found.expiry < today
        return None if expired else found
