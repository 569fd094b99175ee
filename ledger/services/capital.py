"""Money in and out of an account, by an operator's word: outside the life of any order."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from compliance import audit, idempotency
from compliance.audit import EventType
from compliance.idempotency import Idempotent
from compliance.selectors import OPERATOR, lock_tradable_accounts, require
from ledger.models import Bucket, CapitalAccount, CapitalEntry
from ledger.services.books import Books
from oms.lib.actors import Actor
from oms.lib.errors import DomainError, Forbidden
from oms.lib.money import to_paisa
from oms.lib.users import User
from oms.lib.validation import Faults


class KeyReused(DomainError):
    """The key of a posting came again with another amount, portfolio or kind."""

    code = "key_reused"
    title = "This key belongs to another posting"


def deposit(
    portfolio: CapitalAccount,
    amount: Decimal,
    *,
    key: str,
    reason: str,
    user: User | None,
    actor: Actor,
    at: datetime,
    idempotent: Idempotent[CapitalEntry] | None = None,
) -> CapitalEntry:
    """Put `amount` rupees into a portfolio's free bucket. The same key posts once and returns the first entry.

    Only operators (`user` None: the house itself) may; above settings.DEPOSIT_LIMIT one person alone may not.
    Raises Forbidden, Invalid without a reason or for an amount that is not a positive number of paise, KeyReused.
    """
    require(user, OPERATOR, what="book deposits")
    faults = Faults()
    why = faults.reason(reason)
    positive = amount > 0 and amount == to_paisa(amount)
    faults.unless(positive, "/amount", "not_rupees", "The amount must be positive, with at most two decimals.")
    faults.refuse("The deposit is not valid.")
    _refuse_too_much(amount)
    with transaction.atomic(durable=True):
        account = lock_tradable_accounts({portfolio.account.code}, None)[portfolio.account.code]
        if idempotent is not None:
            idempotency.check(idempotent.sent_key)
        entry = CapitalEntry.objects.filter(key=f"DEPOSIT:{key}").first()
        if entry is not None:
            if (entry.capital_account_id, entry.amount) != (portfolio.pk, amount):
                raise KeyReused("This key was used for another deposit: use a new key for a new deposit.")
            return entry
        books = Books.open(portfolio_ids=[portfolio.pk], actor=actor, at=at)
        locked = books.portfolios[portfolio.pk]
        entry = books.move(
            locked, CapitalEntry.Kind.DEPOSIT, amount, Bucket.OUTSIDE, Bucket.FREE, key=f"DEPOSIT:{key}", reason=why
        )
        assert entry is not None, "the amount is positive"
        books.write()
        data = {"portfolio": locked.code, "amount": amount, "free": locked.free, "entry_id": entry.pk, "reason": why}
        audit.record_on(account, EventType.CAPITAL_DEPOSITED, data, actor=actor, at=at)
        if idempotent is not None:
            idempotency.store({idempotent.sent_key: idempotent.respond(entry)}, at=at)
    return entry


def _refuse_too_much(amount: Decimal) -> None:
    if amount > settings.DEPOSIT_LIMIT:
        raise Forbidden(
            f"One person may deposit up to ₹{settings.DEPOSIT_LIMIT}: split it with a second operator.",
            code="deposit_limit",
        )
