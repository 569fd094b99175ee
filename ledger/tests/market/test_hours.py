"""When the exchanges trade, minute by minute around the edges."""

from datetime import date, datetime

import pytest

from ledger.market.hours import Phase, is_session_day, session_at
from oms.lib.clock import IST


def ist(text):
    return datetime.fromisoformat(text).replace(tzinfo=IST)


FRIDAY, MONDAY, WEDNESDAY = "2026-11-20", "2026-11-23", "2026-11-25"

CASES = [
    ("NSE", f"{FRIDAY}T08:59:59", Phase.CLOSED, f"{FRIDAY}T09:15", f"{FRIDAY}T15:30"),
    ("NSE", f"{FRIDAY}T09:00:00", Phase.PRE_OPEN, f"{FRIDAY}T09:15", f"{FRIDAY}T15:30"),
    ("NSE", f"{FRIDAY}T09:14:59", Phase.PRE_OPEN, f"{FRIDAY}T09:15", f"{FRIDAY}T15:30"),
    ("NSE", f"{FRIDAY}T09:15:00", Phase.OPEN, f"{MONDAY}T09:15", f"{FRIDAY}T15:30"),
    ("NSE", f"{FRIDAY}T15:29:59", Phase.OPEN, f"{MONDAY}T09:15", f"{FRIDAY}T15:30"),
    ("NSE", f"{FRIDAY}T15:30:00", Phase.CLOSED, f"{MONDAY}T09:15", None),
    ("NSE", "2026-11-21T11:00:00", Phase.CLOSED, f"{MONDAY}T09:15", None),
    # Tuesday 24 November 2026 is Guru Nanak's birthday.
    ("NSE", f"{MONDAY}T16:00:00", Phase.CLOSED, f"{WEDNESDAY}T09:15", None),
    ("NSE", "2026-11-24T11:00:00", Phase.CLOSED, f"{WEDNESDAY}T09:15", None),
    ("NFO", f"{FRIDAY}T09:10:00", Phase.CLOSED, f"{FRIDAY}T09:15", f"{FRIDAY}T15:30"),
    ("CDS", f"{FRIDAY}T16:00:00", Phase.OPEN, f"{MONDAY}T09:00", f"{FRIDAY}T17:00"),
    ("MCX", f"{FRIDAY}T23:00:00", Phase.OPEN, f"{MONDAY}T09:00", f"{FRIDAY}T23:30"),
    # A year that the exchange has not announced: weekdays count.
    ("NSE", "2026-12-31T16:00:00", Phase.CLOSED, "2027-01-01T09:15", None),
]


@pytest.mark.parametrize(("exchange", "at", "phase", "next_open", "closes_at"), CASES)
def test_sessions(exchange, at, phase, next_open, closes_at):
    session = session_at(exchange, ist(at))
    assert session.phase == phase
    assert session.next_open == ist(next_open)
    assert session.closes_at == (ist(closes_at) if closes_at else None)


def test_an_exchange_that_we_do_not_know():
    with pytest.raises(KeyError):
        session_at("NYSE", ist(f"{FRIDAY}T10:00"))


def test_weekends_are_no_sessions_in_a_year_not_announced():
    assert not is_session_day(date(2031, 1, 4))
    assert is_session_day(date(2031, 1, 6))
