"""Filters of the staff's lists: whole days in India, exact text, open before closed."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.http import QueryDict

from compliance.admin.alerts import OpenAlerts
from compliance.models import Alert
from ledger.models import Instrument
from oms.lib.admin.filters import IndianDays, exact

pytestmark = pytest.mark.django_db
#: 20 November in India begins at 18:30 UTC on the 19th.
MIDNIGHT = datetime(2026, 11, 19, 18, 30, tzinfo=UTC)


def raised(key, at, **given):
    return Alert.objects.create(key=key, kind="TEST", summary=key, raised_at=at, last_raised_at=at, **given)


def request(rf, query):
    made = rf.get("/", QueryDict(query).dict())
    made.user = SimpleNamespace(has_perm=lambda _: True)
    return made


@pytest.fixture
def days():
    """At the edges of 20 and 21 November in India, by the hour that they begin or end at."""
    second = timedelta(seconds=1)
    for key, at in (
        ("before", MIDNIGHT - second), ("first", MIDNIGHT), ("last", MIDNIGHT + timedelta(days=1) - second),
        ("next", MIDNIGHT + timedelta(days=1)),
    ):  # fmt: skip
        raised(key, at)


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        ("2026-11-20", "2026-11-20", {"first", "last"}),
        ("2026-11-20", "", {"first", "last", "next"}),
        ("", "2026-11-20", {"before", "first", "last"}),
        ("2026-11-21", "2026-11-21", {"next"}),
        ("2026-11-21", "2026-11-20", set()),
        ("", "", {"before", "first", "last", "next"}),
    ],
)
def test_days_are_those_of_the_calendar_in_india_both_included(days, rf, begin, end, found):
    column = Alert._meta.get_field("raised_at")
    given = {"raised_at_from": [begin], "raised_at_to": [end]}
    days_filter = IndianDays(column, request(rf, ""), given, Alert, admin.site._registry[Alert], "raised_at")
    days_filter.used_parameters = {"raised_at_from": begin, "raised_at_to": end}
    assert set(days_filter.queryset(rf.get("/"), Alert.objects.all()).values_list("key", flat=True)) == found


def test_a_day_that_is_none_finds_nothing_to_filter_by(days, rf):
    column = Alert._meta.get_field("raised_at")
    days_filter = IndianDays(column, request(rf, ""), {}, Alert, admin.site._registry[Alert], "raised_at")
    days_filter.used_parameters = {"raised_at_from": "yesterday"}
    assert days_filter.queryset(rf.get("/"), Alert.objects.all()) is None


@pytest.mark.parametrize(("text", "found"), [("sbin", 1), (" SBIN ", 1), ("SBI", 0), ("%", 0), ("", 2), ("  ", 2)])
def test_text_matches_the_whole_column(sbin, infy, rf, text, found):
    kind = exact("symbol", "symbol", upper=True)
    text_filter = kind(request(rf, ""), {"symbol": [text]}, Instrument, admin.site._registry[Instrument])
    assert text_filter.queryset(rf.get("/"), Instrument.objects.all()).count() == found


@pytest.mark.parametrize(
    ("chosen", "found"), [(None, {"open"}), ("closed", {"closed"}), ("all", {"open", "closed"}), ("what", {"open"})]
)
def test_what_is_open_is_shown_first(rf, chosen, found):
    raised("open", MIDNIGHT)
    raised("closed", MIDNIGHT, closed_at=MIDNIGHT)
    given = {} if chosen is None else {"open": [chosen]}
    open_filter = OpenAlerts(request(rf, ""), given, Alert, admin.site._registry[Alert])
    assert set(open_filter.queryset(rf.get("/"), Alert.objects.all()).values_list("key", flat=True)) == found
    shown = SimpleNamespace(get_query_string=lambda *_, **__: "?")
    selected = [choice["display"] for choice in open_filter.choices(shown) if choice["selected"]]
    assert selected == {None: ["Open"], "closed": ["Closed"], "all": ["All"]}.get(chosen, [])
