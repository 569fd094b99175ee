"""What happens next in a day, asked at its edges."""

from datetime import datetime

import pytest

from ledger.market.calendar import Market
from ledger.market.next_events import next_events
from oms.lib.clock import IST


def told(exchange, at):
    events = next_events(Market(exchange), datetime.fromisoformat(at).replace(tzinfo=IST))
    return [f"{event.what} {event.at.astimezone(IST):%d %H:%M}" for event in events]


@pytest.mark.parametrize(
    ("exchange", "at", "expected"),
    [
        ("NSE", "2026-11-20T08:59:59", ["PRE_OPEN 20 09:00", "OPEN 20 09:15", "CLOSE 20 15:30"]),
        ("NSE", "2026-11-20T09:00:00", ["OPEN 20 09:15", "CLOSE 20 15:30"]),
        ("NSE", "2026-11-20T09:15:00", ["CLOSE 20 15:30"]),
        ("NSE", "2026-11-20T15:30:00", ["PRE_OPEN 23 09:00", "OPEN 23 09:15", "CLOSE 23 15:30"]),
        # Tuesday the 24th is a holiday of the stock exchanges; commodities trade in its evening.
        ("NSE", "2026-11-23T16:00:00", ["PRE_OPEN 25 09:00", "OPEN 25 09:15", "CLOSE 25 15:30"]),
        ("MCX", "2026-11-23T23:30:00", ["OPEN 24 17:00", "CLOSE 24 23:30"]),
        ("NFO", "2026-11-20T09:00:00", ["OPEN 20 09:15", "CLOSE 20 15:30"]),
        ("NSE", "2026-01-31T12:00:00", ["PRE_OPEN 01 09:00", "OPEN 01 09:15", "CLOSE 01 15:30"]),
        ("NSE", "2026-12-31T16:00:00", ["PRE_OPEN 01 09:00", "OPEN 01 09:15", "CLOSE 01 15:30"]),
    ],
)
def test_the_soonest_comes_first(exchange, at, expected):
    assert told(exchange, at) == expected


def test_an_exchange_that_we_do_not_know():
    with pytest.raises(KeyError):
        told("NYSE", "2026-11-20T10:00")
