"""Time in India, whatever zone an instant is given in."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.lib.clock import IST, ist_date, now, rfc3339, start_of_day

zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(min_value=datetime(2000, 1, 3), max_value=datetime(2100, 1, 1), timezones=zones)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 11, 20, 18, 29, 59, 999999, UTC), date(2026, 11, 20)),
        (datetime(2026, 11, 20, 18, 30, tzinfo=UTC), date(2026, 11, 21)),
        (datetime(2026, 12, 31, 18, 30, tzinfo=UTC), date(2027, 1, 1)),
    ],
)
def test_the_day_turns_at_half_past_six_in_the_evening_of_utc(instant, day):
    assert ist_date(instant) == day


@given(instants)
def test_an_instant_lies_in_the_day_that_it_is_said_to(instant):
    day = ist_date(instant)
    assert start_of_day(day) <= instant < start_of_day(day + timedelta(days=1))
    assert start_of_day(day).astimezone(IST).time().isoformat() == "00:00:00"


@given(instants, instants)
def test_texts_of_instants_sort_as_they_do_and_are_all_as_long(one, other):
    assert (rfc3339(one) < rfc3339(other)) == (one < other)
    assert len(rfc3339(one)) == 27
    assert datetime.fromisoformat(rfc3339(one)) == one


def test_the_present_is_in_utc():
    assert now().utcoffset() == timedelta(0)
