"""Time as the exchange sees it. Doors and tasks read the clock; services are handed an instant."""

from datetime import UTC, date, datetime, time, timedelta, timezone

# India has one zone and no summer time, so a fixed offset is exact and needs no zone files.
IST = timezone(timedelta(hours=5, minutes=30), "IST")


def now() -> datetime:
    """The present instant, in UTC."""
    return datetime.now(UTC)


def ist_date(at: datetime) -> date:
    """The calendar date in India at an instant: the trade date of what happens then."""
    return at.astimezone(IST).date()


def start_of_day(day: date) -> datetime:
    """The instant at which a date begins in India."""
    return datetime.combine(day, time.min, IST)


def rfc3339(at: datetime) -> str:
    """UTC with microseconds and a `Z`, always 27 characters: sorts as text, hashes the same for ever."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
