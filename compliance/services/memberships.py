"""Who may look at an account or trade it: granting and taking away, each on the account's chain."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.models import Membership
from compliance.selectors import OPERATOR, lock_trading_account, require
from oms.lib.actors import Actor
from oms.lib.errors import Invalid, NotFound
from oms.lib.users import User
from oms.lib.validation import Faults


@transaction.atomic(durable=True)
def grant_membership(
    account_id: int,
    *,
    member: AbstractBaseUser,
    role: str,
    reason: str,
    user: User | None,
    actor: Actor,
    at: datetime,
) -> Membership:
    """Let `member` trade or view an account, from now on; a role that was there before is replaced.

    Raises Forbidden for anybody but operators, NotFound, Invalid with a pointer per wrong field.
    """
    require(user, OPERATOR, what="grant a membership")
    faults = Faults()
    why = faults.reason(reason)
    faults.unless(role in Membership.Role.values, "/role", "choice", f"One of {', '.join(Membership.Role.values)}.")
    faults.unless(member.is_active, "/member", "inactive", f"{member.get_username()} is not active.")
    faults.refuse("The membership is not valid.")
    account = lock_trading_account(account_id)
    membership = Membership.objects.filter(account=account, user_id=member.pk).first()
    before = membership.role if membership else ""
    if before == role:
        raise Invalid(f"{member.get_username()} is {role} of {account.code} already.", code="nothing_changed")
    membership = membership or Membership(account=account, user_id=member.pk)
    membership.role = role
    membership.save()
    data = _who(member) | {"from": before, "to": role, "reason": why}
    audit.record_on(account, EventType.MEMBERSHIP_GRANTED, data, actor=actor, at=at)
    return membership


@transaction.atomic(durable=True)
def revoke_membership(
    account_id: int, *, member: AbstractBaseUser, reason: str, user: User | None, actor: Actor, at: datetime
) -> None:
    """Take an account away from `member`. Orders that they sent stay as they are.

    Raises Forbidden for anybody but operators, NotFound for an account or a membership that is not there, Invalid.
    """
    require(user, OPERATOR, what="revoke a membership")
    faults = Faults()
    why = faults.reason(reason)
    faults.refuse("The change is not valid.")
    account = lock_trading_account(account_id)
    membership = Membership.objects.filter(account=account, user_id=member.pk).first()
    if membership is None:
        raise NotFound(f"{member.get_username()} is no member of {account.code}.")
    data = _who(member) | {"from": membership.role, "to": "", "reason": why}
    membership.delete()
    audit.record_on(account, EventType.MEMBERSHIP_REVOKED, data, actor=actor, at=at)


def _who(member: AbstractBaseUser) -> dict[str, Any]:
    return {"user_id": str(member.pk), "username": member.get_username()}
