"""Raising and closing what a person must look at. An alert is raised once per key and then counted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F

from compliance.models import Alert
from compliance.selectors import COMPLIANCE, OPERATOR, require
from oms.lib.errors import NotFound
from oms.lib.validation import Faults

__all__ = ["close_alert", "raise_alert", "resolve_alert"]


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
    """Raise `key`, or count it again and reopen it when it was closed. Joins the caller's transaction."""
    Alert.objects.bulk_create(
        [
            Alert(
                key=key, kind=kind, severity=severity, summary=summary[:300], account_id=account_id,
                order_id=order_id, details=details or {}, count=0, raised_at=at, last_raised_at=at,
            )
        ],
        ignore_conflicts=True,
    )  # fmt: skip
    Alert.objects.filter(key=key).update(
        count=F("count") + 1, last_raised_at=at, summary=summary[:300], severity=severity,
        closed_at=None, closed_by=None, closing_reason="",
    )  # fmt: skip


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
    Alert.objects.filter(key=key, closed_at=None).update(closed_at=at, closed_by=None, closing_reason=reason)
