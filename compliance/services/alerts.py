"""Raising and closing what a person must look at. An alert is raised once per key and then counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from compliance.models import Alert
from compliance.selectors import COMPLIANCE, OPERATOR, require
from oms.lib.db import insert_rows
from oms.lib.errors import NotFound
from oms.lib.validation import Faults

__all__ = ["AlertDraft", "close_alert", "raise_alert", "raise_alerts", "resolve_alert", "resolve_alerts"]

COLUMNS = (
    "key", "kind", "severity", "account", "order_id", "summary", "details", "count", "raised_at", "last_raised_at",
    "closing_reason",
)  # fmt: skip
#: What is raised again is counted, opened again and said anew; what it is about stays.
_COUNTED = """(key) DO UPDATE SET count = old.count + excluded.count, last_raised_at = excluded.last_raised_at,
    summary = excluded.summary, severity = excluded.severity, closed_at = NULL, closed_by_id = NULL,
    closing_reason = ''"""


@dataclass(frozen=True, slots=True)
class AlertDraft:
    """What a person must look at. The same `key` is the same matter, however often it comes up."""

    key: str
    kind: str
    summary: str
    severity: str = Alert.Severity.WARNING
    account_id: int | None = None
    order_id: UUID | None = None
    details: dict[str, Any] = field(default_factory=dict)


def raise_alerts(drafts: Sequence[AlertDraft], *, at: datetime) -> None:
    """Raise each, or count it again and reopen it when it was closed. Joins the caller's transaction.

    One statement however many. It takes the rows by ascending key, so that two writers never wait for each other.
    """
    alerts: dict[str, Alert] = {}
    for draft in sorted(drafts, key=lambda draft: draft.key):
        alert = alerts.setdefault(
            draft.key,
            Alert(
                key=draft.key, kind=draft.kind, account_id=draft.account_id, order_id=draft.order_id,
                details=draft.details, count=0, raised_at=at, last_raised_at=at,
            ),
        )  # fmt: skip
        alert.count += 1
        alert.summary, alert.severity = draft.summary[:300], draft.severity
    insert_rows(Alert, COLUMNS, list(alerts.values()), on_conflict=_COUNTED)


def raise_alert(
    *,
    key: str,
    kind: str,
    summary: str,
    at: datetime,
    severity: str = Alert.Severity.WARNING,
    account_id: int | None = None,
    order_id: UUID | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Raise one alert; see `raise_alerts`."""
    raise_alerts([AlertDraft(key, kind, summary, severity, account_id, order_id, details or {})], at=at)


@transaction.atomic(durable=True)
def close_alert(alert_id: int, *, reason: str, user: AbstractBaseUser, at: datetime) -> Alert:
    """Close an alert with a reason.

    Raises Forbidden for anybody but operators and compliance officers, NotFound, Invalid without a reason.
    """
    require(user, OPERATOR, COMPLIANCE, what="close alerts")
    faults = Faults()
    why = faults.reason(reason)
    faults.refuse("The alert stays open.")
    alert = Alert.objects.select_for_update().filter(pk=alert_id, closed_at=None).first()
    if alert is None:
        raise NotFound("There is no open alert with this id.")
    alert.closed_at, alert.closed_by_id, alert.closing_reason = at, user.pk, why
    alert.save(update_fields=["closed_at", "closed_by", "closing_reason"])
    return alert


def resolve_alert(key: str, *, reason: str, at: datetime) -> None:
    """Close the open alert of `key`, if there is one: what it warned of has passed. Joins the caller's transaction."""
    resolve_alerts([key], reason=reason, at=at)


def resolve_alerts(keys: Sequence[str], *, reason: str, at: datetime) -> None:
    """Close the open alerts of these keys, as `resolve_alert` does; one statement, none for no keys."""
    if keys:
        Alert.objects.filter(key__in=keys, closed_at=None).update(closed_at=at, closed_by=None, closing_reason=reason)
