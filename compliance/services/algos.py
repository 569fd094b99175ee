"""Registering the algorithms that the exchange knows, and changing their registration. Their limits: `controls`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.models import AlgoRegistration
from compliance.selectors import OPERATOR, lock_trading_account, require
from oms.lib.actors import Actor
from oms.lib.errors import NotFound
from oms.lib.users import User
from oms.lib.validation import Faults, changed, insert_once

CHANGEABLE = ("name", "version", "category", "vendor", "status")
COLUMNS = ("algo_id", *CHANGEABLE)


@transaction.atomic(durable=True)
def register_algo(
    account_id: int,
    *,
    algo_id: str,
    name: str,
    version: str = "",
    category: str = AlgoRegistration.Category.WHITE_BOX,
    vendor: str = "",
    reason: str,
    user: User | None,
    actor: Actor,
    at: datetime,
) -> AlgoRegistration:
    """Enter an algorithm under the id that the exchange gave it; it may send orders at once.

    Raises Forbidden for anybody but operators, NotFound, Invalid with a pointer per wrong field, Conflict for
    an id that the account has already.
    """
    require(user, OPERATOR, what="register an algorithm")
    account = lock_trading_account(account_id)
    algo = AlgoRegistration(account=account, algo_id=algo_id.strip(), name=name.strip(), version=version.strip())
    algo.category, algo.vendor = category, vendor.strip()
    faults = Faults()
    why = faults.reason(reason)
    faults.columns(algo, *COLUMNS)
    faults.refuse("The algorithm is not valid.")
    insert_once(algo, "/algo_id", f"Account {account.code} has an algorithm {algo.algo_id} already.")
    data = {name: getattr(algo, name) for name in COLUMNS} | {"reason": why}
    audit.record_on(account, EventType.ALGO_REGISTERED, data, actor=actor, at=at)
    return algo


@transaction.atomic(durable=True)
def change_algo(
    algo_pk: int, *, changes: Mapping[str, Any], reason: str, user: User | None, actor: Actor, at: datetime
) -> AlgoRegistration:
    """Set the given fields of CHANGEABLE. What is SUSPENDED sends no orders.

    Raises Forbidden for anybody but operators, NotFound, Invalid with a pointer per wrong field.
    """
    require(user, OPERATOR, what="change an algorithm")
    known = AlgoRegistration.objects.filter(pk=algo_pk).first()
    if known is None:
        raise NotFound("There is no such algorithm.")
    account = lock_trading_account(known.account_id)
    algo = AlgoRegistration.objects.get(pk=algo_pk)  # as it is under the lock
    faults = Faults()
    why = faults.reason(reason)
    new = changed(algo, {name: value for name, value in changes.items() if name in CHANGEABLE})
    before = {name: getattr(algo, name) for name in new}
    for name, value in new.items():
        setattr(algo, name, value)
    faults.columns(algo, *COLUMNS)
    faults.refuse("The change is not valid.")
    algo.save(update_fields=list(new))
    data = {"algo_id": algo.algo_id, "from": before, "to": new, "reason": why}
    audit.record_on(account, EventType.ALGO_CHANGED, data, actor=actor, at=at)
    return algo
