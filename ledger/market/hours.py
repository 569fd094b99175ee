"""When an exchange trades: the regular sessions, and XBOM's holidays for every Indian exchange.

exchange_calendars is imported on first use (it brings pandas) and asked for one year's days at a time.
It knows neither special sessions (Diwali's Muhurat hour, budget Saturdays) nor a year that the exchange
has not announced; of such a year every weekday counts as a session, and the exchange itself has the
last word. Knows no broker and no demo: whether an account trades round the clock is asked elsewhere.
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

import structlog

from oms.lib.clock import IST

logger = structlog.get_logger(__name__)

FRIDAY = 4


class Phase(StrEnum):
    OPEN = "OPEN"
    PRE_OPEN = "PRE_OPEN"
    CLOSED = "CLOSED"


@dataclass(frozen=True, slots=True)
class Hours:
    """Times of day in IST. `pre_open` equals `opens` where orders are not collected before the open."""

    pre_open: time
    opens: time
    closes: time


_EQUITY = Hours(time(9), time(9, 15), time(15, 30))
_DERIVATIVES = Hours(time(9, 15), time(9, 15), time(15, 30))
_CURRENCY = Hours(time(9), time(9), time(17))
_COMMODITY = Hours(time(9), time(9), time(23, 30))
HOURS: dict[str, Hours] = {
    "NSE": _EQUITY, "BSE": _EQUITY, "NFO": _DERIVATIVES, "BFO": _DERIVATIVES,
    "CDS": _CURRENCY, "BCD": _CURRENCY, "MCX": _COMMODITY,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """What the exchange does at an instant. `next_open` is the coming open, never the present one;
    `closes_at` is today's close while it is still to come, else None. Both in UTC."""

    phase: Phase
    next_open: datetime
    closes_at: datetime | None


def session_at(exchange: str, at: datetime) -> Session:
    """The session of `exchange` (NSE, BSE, NFO, …) at an instant. Raises KeyError for an exchange not listed."""
    hours = HOURS[exchange]
    local = at.astimezone(IST)
    today = local.date()
    if not is_session_day(today) or local.time() >= hours.closes:
        return Session(Phase.CLOSED, _instant(_next_day(today), hours.opens), None)
    closes_at = _instant(today, hours.closes)
    if local.time() >= hours.opens:
        return Session(Phase.OPEN, _instant(_next_day(today), hours.opens), closes_at)
    phase = Phase.PRE_OPEN if local.time() >= hours.pre_open else Phase.CLOSED
    return Session(phase, _instant(today, hours.opens), closes_at)


def is_session_day(day: date) -> bool:
    """Whether the exchanges trade on a date."""
    return day in _session_days(day.year)


def _next_day(day: date) -> date:
    following = day + timedelta(days=1)
    while not is_session_day(following):
        following += timedelta(days=1)
    return following


def _instant(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, IST).astimezone(UTC)


@lru_cache(maxsize=8)
def _session_days(year: int) -> frozenset[date]:
    with warnings.catch_warnings():
        # The library's use of pandas is its own affair.
        warnings.simplefilter("ignore")
        import exchange_calendars

        try:
            calendar = exchange_calendars.get_calendar("XBOM", start=f"{year}-01-01", end=f"{year}-12-31")
        except ValueError as error:
            logger.warning("holidays_not_announced", year=year, reason=str(error))
            return frozenset(_weekdays(year))
        return frozenset(session.date() for session in calendar.sessions)


def _weekdays(year: int) -> list[date]:
    first = date(year, 1, 1)
    days = (first + timedelta(days=n) for n in range(366))
    return [day for day in days if day.year == year and day.weekday() <= FRIDAY]


def is_open(exchange: str, at: datetime) -> bool:
    """Whether `exchange` trades continuously at an instant; never for an exchange that is not listed."""
    return exchange in HOURS and session_at(exchange, at).phase is Phase.OPEN
