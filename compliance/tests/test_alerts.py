"""An alert is one row per key: counted, reopened, closed with a reason."""

from datetime import timedelta

import pytest

from compliance.models import Alert
from compliance.services.alerts import AlertDraft, close_alert, raise_alert, raise_alerts, resolve_alert
from oms.lib.clock import now
from oms.lib.errors import Invalid, NotFound

pytestmark = pytest.mark.django_db


def sound(key="k", **changes):
    fields = {"kind": "OVERDRAFT", "summary": "something", "at": now()}
    raise_alert(key=key, **(fields | changes))
    return Alert.objects.get(key=key)


def test_the_first_time_and_again():
    first = sound(severity="WARNING")
    assert (first.count, first.closed_at) == (1, None)
    later = first.raised_at + timedelta(minutes=1)
    again = sound(severity="CRITICAL", summary="worse", at=later)
    assert (again.pk, again.count, again.severity, again.summary) == (first.pk, 2, "CRITICAL", "worse")
    assert (again.raised_at, again.last_raised_at) == (first.raised_at, later)


def test_a_long_summary_is_cut_rather_than_lost():
    assert len(sound(summary="x" * 1000).summary) == 300


def test_closing_needs_a_reason_and_an_open_alert(officer):
    alert = sound()
    with pytest.raises(Invalid):
        close_alert(alert.pk, reason="  ", user=officer, at=now())
    close_alert(alert.pk, reason=" covered ", user=officer, at=now())
    alert.refresh_from_db()
    assert (alert.closed_by, alert.closing_reason) == (officer, "covered")
    with pytest.raises(NotFound):
        close_alert(alert.pk, reason="again", user=officer, at=now())


def test_a_closed_alert_reopens_when_it_happens_again(officer):
    close_alert(sound().pk, reason="covered", user=officer, at=now())
    reopened = sound()
    assert (reopened.closed_at, reopened.count) == (None, 2)
    assert (reopened.closed_by, reopened.closing_reason) == (None, ""), "who closed it before is history"


def test_what_has_passed_closes_by_itself():
    sound("a")
    sound("b")
    resolve_alert("a", reason="Logged in again.", at=now())
    resolve_alert("c", reason="never raised", at=now())
    assert list(Alert.objects.filter(closed_at=None).values_list("key", flat=True)) == ["b"]


def draft(key, summary="something", severity="WARNING"):
    return AlertDraft(key=key, kind="TEST", summary=summary, severity=severity)


def test_many_at_once_take_one_statement_and_stay_one_row_per_key(django_assert_num_queries):
    sound("b")
    close = Alert.objects.get(key="b")
    with django_assert_num_queries(1):
        raise_alerts([draft("c"), draft("b", "again"), draft("a"), draft("c", "worse", "CRITICAL")], at=now())
    rows = {row.key: (row.count, row.summary, row.severity) for row in Alert.objects.all()}
    assert rows == {
        "a": (1, "something", "WARNING"),
        "b": (2, "again", "WARNING"),
        "c": (2, "worse", "CRITICAL"),
    }
    assert Alert.objects.get(key="b").pk == close.pk


def test_none_take_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        raise_alerts([], at=now())
