"""Kill switches and limits: who changed what, when and why, each change an event on the account's chain."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.models import Account, AlgoRegistration, KillSwitch, RiskLimit, Scope
from compliance.selectors import COMPLIANCE, OPERATOR, require
from oms.lib.actors import Actor
from oms.lib.users import User
from oms.lib.validation import Faults

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
    user: User | None,
    actor: Actor,
    at: datetime,
) -> KillSwitch:
    """Set the trading mode of the house, an account or an algorithm. Orders already at the broker stay there.

    Raises Forbidden for anybody but operators and compliance officers, Invalid with a pointer per wrong field.
    """
    require(user, OPERATOR, COMPLIANCE, what="throw a kill switch")
    faults = Faults()
    why = faults.reason(reason)
    faults.unless(mode in KillSwitch.Mode.values, "/mode", "choice", f"One of {', '.join(KillSwitch.Mode.values)}.")
    _check_target(faults, scope, account, algo)
    faults.refuse("The change is not valid.")
    owner = _lock_owner(scope, account, algo)
    switch = KillSwitch.objects.filter(scope=scope, account=account, algo=algo).first() or KillSwitch(
        scope=scope, account=account, algo=algo
    )
    before, switch.mode = switch.mode if switch.pk else KillSwitch.Mode.ACTIVE, mode
    switch.reason, switch.changed_by_id, switch.changed_at = why, None if user is None else user.pk, at
    switch.save()
    thrown = mode != KillSwitch.Mode.ACTIVE
    event = EventType.KILL_SWITCH_ON if thrown else EventType.KILL_SWITCH_OFF
    data = {"scope": scope, "algo_id": algo.algo_id if algo else "", "from": before, "to": mode, "reason": why}
    audit.record_on(owner, event, data, actor=actor, at=at)
    return switch


@transaction.atomic(durable=True)
def set_limits(
    scope: str,
    *,
    account: Account | None = None,
    algo: AlgoRegistration | None = None,
    values: Mapping[str, Any],
    reason: str,
    user: User | None,
    actor: Actor,
    at: datetime,
) -> RiskLimit:
    """Add a new version of a scope's limits, all of them as given in `values`; None or absent is unlimited.

    Raises Forbidden for anybody but operators and compliance officers, Invalid with a pointer per wrong field.
    """
    require(user, OPERATOR, COMPLIANCE, what="change limits")
    faults = Faults()
    limit = RiskLimit(
        scope=scope, account=account, algo=algo, reason=faults.reason(reason), created_at=at,
        created_by_id=None if user is None else user.pk, **{name: values.get(name) for name in LIMITS},
    )  # fmt: skip
    _check_target(faults, scope, account, algo)
    _check_limits(faults, limit, values)
    faults.refuse("The change is not valid.")
    owner = _lock_owner(scope, account, algo)
    rows = RiskLimit.objects.filter(scope=scope, account=account, algo=algo)
    before = rows.order_by("-version").first()
    limit.version = before.version + 1 if before else 1
    limit.save(force_insert=True)
    data = {
        "scope": scope, "algo_id": algo.algo_id if algo else "", "version": limit.version, "reason": limit.reason,
        "from": {name: getattr(before, name, None) for name in LIMITS},
        "to": {name: getattr(limit, name) for name in LIMITS},
    }  # fmt: skip
    audit.record_on(owner, EventType.LIMIT_CHANGED, data, actor=actor, at=at)
    return limit


def _check_target(faults: Faults, scope: str, account: Account | None, algo: AlgoRegistration | None) -> None:
    faults.unless(scope in Scope.values, "/scope", "choice", f"One of {', '.join(Scope.values)}.")
    fits = (scope == Scope.ACCOUNT) == (account is not None) and (scope == Scope.ALGO) == (algo is not None)
    faults.unless(fits, "/scope", "target_mismatch", "An account for ACCOUNT, an algorithm for ALGO, else none.")


def _check_limits(faults: Faults, limit: RiskLimit, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in LIMITS:
            faults.note(f"/{name}", "unknown", f"Not a limit: one of {', '.join(LIMITS)}.")
        elif value is not None and value < 0:
            faults.note(f"/{name}", "negative", "At least 0, or empty for no limit from this scope.")
        elif name == "max_orders_per_second" and value == 0:
            # Orders are paced by it: with 0 they would be accepted, and wait for a second that never comes.
            faults.note(f"/{name}", "zero", "At least 1, or empty for no limit; to stop trading, use the kill switch.")
        else:
            faults.columns(limit, name)


def _lock_owner(scope: str, account: Account | None, algo: AlgoRegistration | None) -> Account:
    """The account whose chain records the change; the house's own for the house."""
    rows = Account.objects.select_for_update(no_key=True)
    if scope == Scope.HOUSE:
        return rows.get(kind=Account.Kind.HOUSE)
    return rows.get(pk=account.pk if account else algo.account_id)  # type: ignore[union-attr]
