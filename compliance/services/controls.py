"""Kill switches and limits: who changed what, when and why, each change an event on the account's chain."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Max

from compliance import audit
from compliance.audit import EventDraft, EventType
from compliance.models import Account, AlgoRegistration, KillSwitch, RiskLimit, Scope
from compliance.selectors import COMPLIANCE, OPERATOR, is_in
from oms.lib.actors import Actor
from oms.lib.errors import FieldError, Forbidden, Invalid

LIMITS = (
    "max_order_quantity", "max_order_value", "max_open_value", "max_position_quantity", "max_orders_per_second",
    "duplicate_window_seconds",
)  # fmt: skip


@transaction.atomic(durable=True)
def set_kill_switch(
    scope: str,
    *,
    account: Account | None = None,
    algo: AlgoRegistration | None = None,
    mode: str,
    reason: str,
    user: AbstractBaseUser | None,
    actor: Actor,
    at: datetime,
) -> KillSwitch:
    """Set the trading mode of the house, an account or an algorithm. Orders already at the broker stay there.

    Raises Forbidden for anybody but operators and compliance officers, Invalid without a reason or when the
    scope and its target do not fit.
    """
    _require(user, OPERATOR, COMPLIANCE, what="throw a kill switch")
    _check(scope, account, algo, reason, valid=mode in KillSwitch.Mode.values, pointer="/mode")
    owner = _lock_owner(scope, account, algo)
    switch = KillSwitch.objects.filter(scope=scope, account=account, algo=algo).first() or KillSwitch(
        scope=scope, account=account, algo=algo
    )
    before, switch.mode = switch.mode if switch.pk else KillSwitch.Mode.ACTIVE, mode
    switch.reason, switch.changed_by_id, switch.changed_at = reason.strip(), None if user is None else user.pk, at
    switch.save()
    thrown = mode != KillSwitch.Mode.ACTIVE
    _record(
        owner, EventType.KILL_SWITCH_ON if thrown else EventType.KILL_SWITCH_OFF,
        {"scope": scope, "algo_id": algo.algo_id if algo else "", "from": before, "to": mode, "reason": reason.strip()},
        actor, at,
    )  # fmt: skip
    return switch


@transaction.atomic(durable=True)
def set_limits(
    scope: str,
    *,
    account: Account | None = None,
    algo: AlgoRegistration | None = None,
    values: Mapping[str, Any],
    reason: str,
    user: AbstractBaseUser | None,
    actor: Actor,
    at: datetime,
) -> RiskLimit:
    """Add a new version of a scope's limits, all of them as given in `values`; None or absent is unlimited.

    Raises Forbidden for anybody but compliance officers and operators, Invalid for a negative or unknown limit.
    """
    _require(user, OPERATOR, COMPLIANCE, what="change limits")
    wrong = [n for n, v in values.items() if n not in LIMITS or (v is not None and v < 0)]
    _check(scope, account, algo, reason, valid=not wrong, pointer=f"/{wrong[0]}" if wrong else "")
    owner = _lock_owner(scope, account, algo)
    rows = RiskLimit.objects.filter(scope=scope, account=account, algo=algo)
    version = (rows.aggregate(last=Max("version"))["last"] or 0) + 1
    before = rows.order_by("-version").first()
    limit = RiskLimit.objects.create(
        scope=scope, account=account, algo=algo, version=version, reason=reason.strip(), created_at=at,
        created_by_id=None if user is None else user.pk, **{name: values.get(name) for name in LIMITS},
    )  # fmt: skip
    data = {
        "scope": scope, "algo_id": algo.algo_id if algo else "", "version": version, "reason": reason.strip(),
        "from": {name: getattr(before, name, None) for name in LIMITS},
        "to": {name: getattr(limit, name) for name in LIMITS},
    }  # fmt: skip
    _record(owner, EventType.LIMIT_CHANGED, data, actor, at)
    return limit


def _require(user: AbstractBaseUser | None, *groups: str, what: str) -> None:
    if user is not None and not is_in(user, *groups):
        raise Forbidden(f"You may not {what}.")


def _check(
    scope: str, account: Account | None, algo: AlgoRegistration | None, reason: str, *, valid: bool, pointer: str
) -> None:
    errors = []
    if not reason.strip():
        errors.append(FieldError("/reason", "required", "Say why."))
    if not valid:
        errors.append(FieldError(pointer, "not_valid", "Not a valid value."))
    if (scope == Scope.ACCOUNT) != (account is not None) or (scope == Scope.ALGO) != (algo is not None):
        message = "An account for ACCOUNT, an algorithm for ALGO, else none."
        errors.append(FieldError("/scope", "target_mismatch", message))
    if errors:
        raise Invalid("The change is not valid.", errors=tuple(errors))


def _lock_owner(scope: str, account: Account | None, algo: AlgoRegistration | None) -> Account:
    """The account whose chain records the change; the house's own for the house."""
    rows = Account.objects.select_for_update(no_key=True)
    if scope == Scope.HOUSE:
        return rows.get(kind=Account.Kind.HOUSE)
    return rows.get(pk=account.pk if account else algo.account_id)  # type: ignore[union-attr]


def _record(owner: Account, type: EventType, data: dict[str, Any], actor: Actor, at: datetime) -> None:
    audit.record([EventDraft(owner, type, data)], actor=actor, at=at)
    owner.save(update_fields=["event_seq", "event_hash"])
