"""Which days the exchanges trade, with holidays and special sessions of 2026, and minute by minute around the edges."""

from datetime import date, datetime

import pytest

from ledger.market import special_days
from ledger.market.calendar import (
    Market,
    is_open,
    is_trading_day,
    sessions_on,
    trading_day_after,
    trading_day_before,
)
from ledger.market.hours import HOURS, Hours
from ledger.market.special_days import SpecialDay
from oms.lib.clock import IST

NSE, NFO, CDS, MCX = (Market(name) for name in ("NSE", "NFO", "CDS", "MCX"))


def ist(text):
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def day(text):
    return date.fromisoformat(f"2026-{text}")


FRIDAY = "2026-11-20"


@pytest.mark.parametrize(
    ("market", "at", "open_"),
    [
        (NSE, f"{FRIDAY}T09:14:59", False),
        (NSE, f"{FRIDAY}T09:15:00", True),
        (NSE, f"{FRIDAY}T15:29:59", True),
        (NSE, f"{FRIDAY}T15:30:00", False),
        (NSE, "2026-11-21T11:00:00", False),
        (NSE, "2026-11-24T11:00:00", False),  # Guru Nanak's birthday
        (NFO, f"{FRIDAY}T09:10:00", False),
        (CDS, f"{FRIDAY}T16:00:00", True),
        (MCX, f"{FRIDAY}T23:00:00", True),
        # The commodity exchange works in the evening of that holiday.
        (MCX, "2026-11-24T16:59:59", False),
        (MCX, "2026-11-24T17:00:00", True),
        (MCX, "2026-01-01T16:59:59", True),  # and New Year's evening is free
        (MCX, "2026-01-01T17:00:00", False),
        (NSE, "2026-02-01T11:00:00", True),  # the Union Budget, on a Sunday
        (MCX, "2026-02-01T11:00:00", True),
        (MCX, "2026-02-01T18:00:00", False),
        (CDS, "2026-02-01T11:00:00", False),
        (Market("NYSE"), f"{FRIDAY}T11:00:00", False),
    ],
)
def test_open_or_closed(market, at, open_):
    assert is_open(market, ist(at)) is open_


@pytest.mark.parametrize(
    ("text", "stocks", "commodities"),
    [
        ("01-15", False, True),  # declared on 12 January
        ("01-26", False, False),  # Republic Day
        ("02-01", True, True),  # a Sunday
        ("02-08", False, False),  # an ordinary one
        ("03-03", False, True),  # Holi
        ("04-03", False, False),  # Good Friday
        ("10-02", False, False),  # Gandhi's birthday
        ("10-20", False, True),  # Dussehra
        ("11-09", True, True),
        ("12-25", False, False),
    ],
)
def test_holidays_differ_by_exchange(text, stocks, commodities):
    assert (is_trading_day(NSE, day(text)), is_trading_day(MCX, day(text))) == (stocks, commodities)


def test_the_trading_days_around_a_holiday_and_a_weekend():
    assert trading_day_before(NSE, day("11-25")) == day("11-23")
    assert trading_day_before(MCX, day("11-25")) == day("11-24")
    assert trading_day_after(NSE, day("04-02")) == day("04-06")  # Good Friday and a weekend
    assert trading_day_after(NSE, day("01-30")) == day("02-01")  # the Sunday of the budget


def test_a_muhurat_hour_is_a_row(monkeypatch):
    diwali = day("11-08")  # a Sunday
    assert sessions_on(NSE, diwali) == ()
    hour = Hours(*(datetime.fromisoformat(f"2026-11-08T{t}").time() for t in ("17:45", "18:00", "19:00")))
    row = SpecialDay("NSE", diwali, (hour,), "an announcement")
    monkeypatch.setitem(special_days.SPECIAL_DAYS, ("NSE", diwali), row)
    assert is_open(NSE, ist("2026-11-08T18:30"))
    assert not is_open(NSE, ist("2026-11-08T11:00"))
    assert trading_day_before(NSE, day("11-09")) == diwali


def test_every_special_day_is_of_a_known_exchange_and_names_its_source():
    for row in special_days.SPECIAL_DAYS.values():
        assert row.exchange in HOURS
        assert row.source
        assert all(h.pre_open <= h.opens < h.closes for h in row.sessions)


def test_of_a_year_that_is_not_announced_weekdays_count():
    assert not is_trading_day(NSE, date(2031, 1, 4))
    assert is_trading_day(NSE, date(2031, 1, 6))
    assert trading_day_after(NSE, date(2026, 12, 31)) == date(2027, 1, 1)
