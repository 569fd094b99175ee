"""Money in and out of an account, by an operator's word: outside the life of any order."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from compliance import audit, idempotency
from compliance.audit import EventDraft, EventType
from compliance.idempotency import Idempotent
from compliance.selectors import OPERATOR, is_in, lock_tradable_accounts
from ledger.models import Bucket, CapitalAccount, CapitalEntry
from ledger.services.books import Books
from oms.lib.actors import Actor
from oms.lib.errors import DomainError, FieldError, Forbidden, Invalid
from oms.lib.money import to_paisa
from oms.lib.users import User


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
    Raises Forbidden, Invalid for an amount that is not a positive number of paise, KeyReused.
    """
    if user is not None and not is_in(user, OPERATOR):
        raise Forbidden("Only operators book deposits.")
    _check_amount(amount)
    with transaction.atomic(durable=True):
        account = lock_tradable_accounts({portfolio.account.code}, None)[portfolio.account.code]
        if idempotent is not None:
            idempotency.check(idempotent.claim)
        entry = CapitalEntry.objects.filter(key=f"DEPOSIT:{key}").first()
        if entry is not None:
            if (entry.capital_account_id, entry.amount) != (portfolio.pk, amount):
                raise KeyReused("This key was used for another deposit: use a new key for a new deposit.")
            return entry
        books = Books.open(portfolio_ids=[portfolio.pk], actor=actor, at=at)
        locked = books.portfolios[portfolio.pk]
        entry = books.move(
            locked, CapitalEntry.Kind.DEPOSIT, amount, Bucket.OUTSIDE, Bucket.FREE, key=f"DEPOSIT:{key}", reason=reason
        )
        assert entry is not None, "the amount is positive"
        books.write()
        data = {"portfolio": locked.code, "amount": amount, "free": locked.free, "entry_id": entry.pk, "reason": reason}
        audit.record([EventDraft(account, EventType.CAPITAL_DEPOSITED, data)], actor=actor, at=at)
        account.save(update_fields=["event_seq", "event_hash"])
        if idempotent is not None:
            idempotency.store({idempotent.claim: idempotent.respond(entry)}, at=at)
    return entry


def _check_amount(amount: Decimal) -> None:
    if amount <= 0 or amount != to_paisa(amount):
        error = FieldError("/amount", "not_rupees", "The amount must be positive, with at most two decimals.")
        raise Invalid("The amount is not valid.", errors=(error,))
    if amount > settings.DEPOSIT_LIMIT:
        raise Forbidden(
            f"One person may deposit up to ₹{settings.DEPOSIT_LIMIT}: split it with a second operator.",
            code="deposit_limit",
        )
