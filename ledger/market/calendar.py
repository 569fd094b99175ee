"""Which days an exchange trades, and in which sessions. Everything else about a day is reckoned from here.

The days are those of XBOM in exchange_calendars, which stands for every Indian exchange, and `special_days` wins
over it. The library is imported on first use (it brings pandas) and asked for one year at a time; of a year that the
exchange has not announced, every weekday counts, and the exchange itself has the last word. Knows no broker and no
demo: whether an account trades round the clock is asked elsewhere.
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

import structlog

from ledger.market.hours import HOURS, Hours
from ledger.market.special_days import SPECIAL_DAYS
from oms.lib.clock import IST, ist_date

logger = structlog.get_logger(__name__)

FRIDAY = 4


class Market(NamedTuple):
    """What trades by the same rules: hours may differ by exchange (NSE, NFO, MCX, …), segment and class of instrument.

    Today's tables tell exchanges apart and nothing finer. Of an exchange that is not in `hours.HOURS` the days
    are known, the hours are not.
    """

    exchange: str
    segment: str = ""
    instrument_class: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """One stretch of trading, in UTC. `pre_open` equals `opens` where orders are not collected before the open."""

    pre_open: datetime
    opens: datetime
    closes: datetime


def sessions_on(market: Market, day: date) -> tuple[Session, ...]:
    """The sessions of a market on a date in India, in their order; none when it does not trade, or is not known."""
    special = SPECIAL_DAYS.get((market.exchange, day))
    if special is not None:
        return tuple(_session(day, hours) for hours in special.sessions)
    hours = HOURS.get(market.exchange)
    return (_session(day, hours),) if hours is not None and is_trading_day(market, day) else ()


def is_trading_day(market: Market, day: date) -> bool:
    """Whether a market trades on a date, be it for half a day."""
    special = SPECIAL_DAYS.get((market.exchange, day))
    return day in _regular_days(day.year) if special is None else bool(special.sessions)


def trading_day_before(market: Market, day: date) -> date:
    """The latest date before `day` on which the market traded."""
    earlier = day - timedelta(days=1)
    while not is_trading_day(market, earlier):
        earlier -= timedelta(days=1)
    return earlier


def trading_day_after(market: Market, day: date) -> date:
    """The first date after `day` on which the market trades."""
    later = day + timedelta(days=1)
    while not is_trading_day(market, later):
        later += timedelta(days=1)
    return later


def is_open(market: Market, at: datetime) -> bool:
    """Whether a market trades continuously at an instant; never for an exchange whose hours are not known."""
    return any(session.opens <= at < session.closes for session in sessions_on(market, ist_date(at)))


def _session(day: date, hours: Hours) -> Session:
    return Session(_instant(day, hours.pre_open), _instant(day, hours.opens), _instant(day, hours.closes))


def _instant(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, IST).astimezone(UTC)


@lru_cache(maxsize=8)
def _regular_days(year: int) -> frozenset[date]:
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
