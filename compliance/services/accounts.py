"""Opening an account and changing what is known of it. Who may act on it: `memberships`; its algorithms: `algos`."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.models import Account
from compliance.products import ProductCode
from compliance.selectors import OPERATOR, lock_trading_account, require
from oms.lib.actors import Actor
from oms.lib.users import User
from oms.lib.validation import Faults, changed, insert_once

CHANGEABLE = ("name", "ucc", "pan", "products", "is_active")
COLUMNS = ("code", "name", "kind", "ucc", "pan", "products")
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: Five letters, four digits, a letter (Income Tax Department).
PAN = re.compile(r"[A-Z]{5}[0-9]{4}[A-Z]")
SHOWN_PAN_DIGITS = 4


def masked(pan: str) -> str:
    """A PAN with its first six characters hidden; the whole one is for exports by those allowed."""
    return f"{'•' * (len(pan) - SHOWN_PAN_DIGITS)}{pan[-SHOWN_PAN_DIGITS:]}" if pan else ""


@transaction.atomic(durable=True)
def open_account(
    *,
    code: str,
    name: str,
    kind: str,
    products: Sequence[str],
    ucc: str = "",
    pan: str = "",
    reason: str,
    user: User | None,
    actor: Actor,
    at: datetime,
) -> Account:
    """Open a trading account that trades `products`. A client's needs a UCC and a PAN; the house has its own.

    Raises Forbidden for anybody but operators, Invalid with a pointer per wrong field, Conflict for a taken code.
    """
    require(user, OPERATOR, what="open an account")
    account = Account(code=code.strip(), name=name.strip(), kind=kind, products=list(products))
    account.ucc, account.pan = ucc.strip(), pan.strip().upper()
    faults = Faults()
    why = faults.reason(reason)
    faults.unless(kind != Account.Kind.HOUSE, "/kind", "house", "There is one house account, and it is there.")
    faults.unless(bool(CODE.fullmatch(account.code)), "/code", "format", "Letters, digits, dots, dashes, underscores.")
    _check(account, faults)
    faults.refuse("The account is not valid.")
    insert_once(account, "/code", f"There is an account {account.code} already.")
    audit.record_on(account, EventType.ACCOUNT_OPENED, _said(account, COLUMNS) | {"reason": why}, actor=actor, at=at)
    return account


@transaction.atomic(durable=True)
def change_account(
    account_id: int, *, changes: Mapping[str, Any], reason: str, user: User | None, actor: Actor, at: datetime
) -> Account:
    """Set the given fields of CHANGEABLE. An account that is not active takes no new orders.

    Raises Forbidden for anybody but operators, NotFound, Invalid with a pointer per wrong field.
    """
    require(user, OPERATOR, what="change an account")
    account = lock_trading_account(account_id)
    faults = Faults()
    why = faults.reason(reason)
    new = changed(account, {name: value for name, value in changes.items() if name in CHANGEABLE})
    before = _said(account, new)
    for name, value in new.items():
        setattr(account, name, value)
    _check(account, faults)
    faults.refuse("The change is not valid.")
    account.save(update_fields=list(new))
    data = {"from": before, "to": _said(account, new), "reason": why}
    audit.record_on(account, EventType.ACCOUNT_CHANGED, data, actor=actor, at=at)
    return account


def _check(account: Account, faults: Faults) -> None:
    faults.columns(account, *COLUMNS)
    unknown = [product for product in account.products if product not in ProductCode.values]
    allowed = ", ".join(ProductCode.values)
    faults.unless(not unknown, "/products", "choice", f"{', '.join(map(str, unknown))}: not one of {allowed}.")
    valid = not account.pan or bool(PAN.fullmatch(account.pan))
    faults.unless(valid, "/pan", "format", "Five letters, four digits, a letter: AAAPA1234A.")
    if account.kind == Account.Kind.CLIENT:
        faults.unless(bool(account.ucc), "/ucc", "required", "The exchange takes no client's order without a UCC.")
        faults.unless(bool(account.pan), "/pan", "required", "A client's account needs the client's PAN.")


def _said(account: Account, names: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """The fields as an event may tell them: never a whole PAN."""
    return {name: masked(account.pan) if name == "pan" else getattr(account, name) for name in names}
