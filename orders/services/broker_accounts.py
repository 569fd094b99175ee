"""Changing how a broker account is reached: key, secret, egress address. What was a secret is never recorded."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from compliance import audit
from compliance.audit import EventDraft, EventType
from compliance.selectors import OPERATOR, is_in
from oms.lib.actors import Actor
from oms.lib.errors import Forbidden, Invalid, NotFound
from orders.models import BrokerAccount

CHANGEABLE = ("api_key", "api_secret", "egress_address")
SECRETS = frozenset({"api_secret"})
State = BrokerAccount.SessionState


@transaction.atomic(durable=True)
def change_credentials(
    broker_account_id: int,
    *,
    changes: Mapping[str, Any],
    user: AbstractBaseUser,
    actor: Actor,
    at: datetime,
    reason: str,
) -> BrokerAccount:
    """Set the given fields of CHANGEABLE and end the session, whose token belonged to the old ones.

    Raises Forbidden for anybody but operators, Invalid without a reason or a change, NotFound.
    """
    if not is_in(user, OPERATOR):
        raise Forbidden("Only operators may change how a broker account is reached.")
    if not reason.strip():
        raise Invalid("Say why the broker account is changed.", code="reason_missing")
    rows = BrokerAccount.objects.select_related("default_account").select_for_update(of=("self", "default_account"))
    account = rows.filter(pk=broker_account_id).first()
    if account is None:
        raise NotFound("There is no such broker account.")
    changed = {name: value for name, value in changes.items() if name in CHANGEABLE and getattr(account, name) != value}
    if not changed:
        raise Invalid("Nothing would change.", code="nothing_changed")
    for name, value in changed.items():
        setattr(account, name, value)
    account.access_token = ""
    if account.session_state == State.OPEN:
        account.session_state, account.session_message = State.EXPIRED, "The credentials were changed: log in again."
    account.save(update_fields=[*changed, "access_token", "session_state", "session_message"])
    _record(account, changed, actor=actor, at=at, reason=reason.strip())
    return account


def _record(account: BrokerAccount, changed: Mapping[str, Any], *, actor: Actor, at: datetime, reason: str) -> None:
    said = {name: "changed" if name in SECRETS else value for name, value in changed.items()}
    data = {"broker_account": account.name, "client_id": account.client_id, "changes": said, "reason": reason}
    owner = account.default_account
    audit.record([EventDraft(owner, EventType.BROKER_ACCOUNT_CHANGED, data)], actor=actor, at=at)
    owner.save(update_fields=["event_seq", "event_hash"])
