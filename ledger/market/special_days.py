"""Days on which an exchange does not trade as its calendar says: closed for half a day, or open on a Sunday.

Each row names its source. A row wins over the calendar. The hour of a Muhurat session is announced some weeks
before Diwali: its row is added then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ledger.market.hours import COMMODITY_EVENING, COMMODITY_MORNING, DERIVATIVES, EQUITY, Hours


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """What an exchange does on one date: its sessions, none when it is closed, and who says so."""

    exchange: str
    day: date
    sessions: tuple[Hours, ...]
    source: str


_BUDGET = "circulars of NSE, BSE and MCX of 16 January 2026: live trading on Sunday, 1 February, for the Union Budget"
_MCX_2026 = "MCX, list of trading holidays 2026"
_ELECTIONS = "NSE/COM/72263: municipal elections in Maharashtra; MCX by analogy"

#: Holidays of the stock exchanges on which the commodity exchange trades in the evening.
_MCX_EVENINGS_2026 = (
    date(2026, 3, 3), date(2026, 3, 26), date(2026, 3, 31), date(2026, 4, 14), date(2026, 5, 1), date(2026, 5, 28),
    date(2026, 6, 26), date(2026, 9, 14), date(2026, 10, 20), date(2026, 11, 10), date(2026, 11, 24),
)  # fmt: skip


def _rows() -> Iterable[SpecialDay]:
    for exchange, hours in (("NSE", EQUITY), ("BSE", EQUITY), ("NFO", DERIVATIVES), ("BFO", DERIVATIVES)):
        yield SpecialDay(exchange, date(2026, 2, 1), (hours,), _BUDGET)
    yield SpecialDay("MCX", date(2026, 1, 1), (COMMODITY_MORNING,), _MCX_2026)
    yield SpecialDay("MCX", date(2026, 1, 15), (COMMODITY_EVENING,), _ELECTIONS)
    yield SpecialDay("MCX", date(2026, 2, 1), (COMMODITY_MORNING,), _BUDGET)
    for day in _MCX_EVENINGS_2026:
        yield SpecialDay("MCX", day, (COMMODITY_EVENING,), _MCX_2026)


SPECIAL_DAYS: dict[tuple[str, date], SpecialDay] = {(row.exchange, row.day): row for row in _rows()}
