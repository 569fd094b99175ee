"""Adding broker accounts, and changing how one is reached: key, secret, egress address.

What was a secret is never recorded. Which accounts go through a broker account: `routes`.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.selectors import OPERATOR, lock_trading_account, require
from oms.lib.actors import Actor
from oms.lib.errors import NotFound
from oms.lib.users import User
from oms.lib.validation import Faults, changed, insert_once
from orders.broker_rules import RULES
from orders.models import BrokerAccount

CHANGEABLE = ("api_key", "api_secret", "egress_address")
SECRETS = frozenset({"api_secret"})
RATES = (
    "orders_per_second", "orders_per_minute", "orders_per_day", "modifications_per_order", "other_calls_per_second",
)  # fmt: skip
ADDED = (
    "name", "kind", "trading_hours", "root_url", "route_prefix", "login_page_url", "client_id", *CHANGEABLE, *RATES,
)  # fmt: skip
State = BrokerAccount.SessionState


@transaction.atomic(durable=True)
def add_broker_account(
    default_account_id: int, *, fields: Mapping[str, Any], user: User | None, actor: Actor, at: datetime, reason: str
) -> BrokerAccount:
    """Add a login at a broker from the given fields of ADDED; orders found there belong to the default account.

    Rates that are not given, or None, are those of the kind; the session begins closed. Raises Forbidden for anybody
    but operators, NotFound, Invalid with a pointer per wrong field, Conflict for a taken name.
    """
    require(user, OPERATOR, what="add a broker account")
    owner = lock_trading_account(default_account_id)
    given = {name: fields[name] for name in ADDED if name in fields and (name not in RATES or fields[name] is not None)}
    account = BrokerAccount(default_account=owner, **(_usual_rates(fields.get("kind", "")) | given))
    account.root_url = account.root_url.rstrip("/")
    faults = Faults()
    why = faults.reason(reason)
    faults.columns(account, *ADDED)
    _check(account, faults)
    faults.refuse("The broker account is not valid.")
    insert_once(account, "/name", f"There is a broker account {account.name} already.")
    said = {name: getattr(account, name) for name in ADDED if name not in SECRETS}
    data = said | {"broker_account": account.name, "default_account": owner.code, "reason": why}
    audit.record_on(owner, EventType.BROKER_ACCOUNT_ADDED, data, actor=actor, at=at)
    return account


def _usual_rates(kind: str) -> dict[str, int]:
    return asdict(RULES[kind].rates) if kind in RULES else {}


def _check(account: BrokerAccount, faults: Faults) -> None:
    """What the columns do not know: real money goes encrypted and in market hours, and one login is polled once."""
    real = account.kind in RULES and not RULES[account.kind].is_simulated
    plain = real and not account.root_url.startswith("https://")
    faults.unless(not plain, "/root_url", "not_encrypted", "A broker with real money is reached by https only.")
    always = real and account.trading_hours == BrokerAccount.Hours.ALWAYS
    faults.unless(not always, "/trading_hours", "paper_only", "Where money is real, no market is always open.")
    for name in RATES:
        faults.unless(getattr(account, name) != 0, f"/{name}", "zero", "At least 1: with 0 nothing would be sent.")
    same = BrokerAccount.objects.filter(root_url=account.root_url, client_id=account.client_id).first()
    message = f"{same} is this login already: two would poll and adopt the same orders."
    faults.unless(same is None, "/client_id", "taken", message)


@transaction.atomic(durable=True)
def change_credentials(
    broker_account_id: int,
    *,
    changes: Mapping[str, Any],
    user: User | None,
    actor: Actor,
    at: datetime,
    reason: str,
) -> BrokerAccount:
    """Set the given fields of CHANGEABLE and end the session, whose token belonged to the old ones.

    Raises Forbidden for anybody but operators, NotFound, Invalid with a pointer per wrong field, without a reason
    or without a change.
    """
    require(user, OPERATOR, what="change how a broker account is reached")
    faults = Faults()
    why = faults.reason(reason)
    rows = BrokerAccount.objects.select_related("default_account").select_for_update(
        of=("self", "default_account"), no_key=True
    )
    account = rows.filter(pk=broker_account_id).first()
    if account is None:
        raise NotFound("There is no such broker account.")
    new = changed(account, {name: value for name, value in changes.items() if name in CHANGEABLE})
    for name, value in new.items():
        setattr(account, name, value)
    faults.columns(account, *new)
    faults.refuse("The change is not valid.")
    account.access_token = ""
    if account.session_state == State.OPEN:
        account.session_state, account.session_message = State.EXPIRED, "The credentials were changed: log in again."
    account.save(update_fields=[*new, "access_token", "session_state", "session_message"])
    said = {name: "changed" if name in SECRETS else value for name, value in new.items()}
    data = {"broker_account": account.name, "client_id": account.client_id, "changes": said, "reason": why}
    audit.record_on(account.default_account, EventType.BROKER_ACCOUNT_CHANGED, data, actor=actor, at=at)
    return account
