"""What happens next in a market's day: the pre-open, the open, the close.

When a broker's session ends is the broker's matter, not the market's (`orders.services.broker_sessions`).
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ledger.market.calendar import Market, sessions_on, trading_day_after
from ledger.market.hours import HOURS
from oms.lib.clock import ist_date


class Happening(StrEnum):
    PRE_OPEN = "PRE_OPEN"
    OPEN = "OPEN"
    CLOSE = "CLOSE"


@dataclass(frozen=True, slots=True)
class MarketEvent:
    """What happens, and when, in UTC."""

    what: Happening
    at: datetime


def next_events(market: Market, at: datetime) -> list[MarketEvent]:
    """What is still to come today, the soonest first; once nothing is, the whole of the next trading day.

    What happens at `at` itself has happened. Raises KeyError for an exchange whose hours are not known.
    """
    if market.exchange not in HOURS:
        raise KeyError(market.exchange)
    day = ist_date(at)
    while True:
        if coming := [event for event in _events_on(market, day) if event.at > at]:
            return coming
        day = trading_day_after(market, day)


def _events_on(market: Market, day: date) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    for session in sessions_on(market, day):
        if session.pre_open < session.opens:
            events.append(MarketEvent(Happening.PRE_OPEN, session.pre_open))
        events += [MarketEvent(Happening.OPEN, session.opens), MarketEvent(Happening.CLOSE, session.closes)]
    return events
