"""Bringing in what an account held before it came here: positions in kind, against the world, with their cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from compliance import audit
from compliance.audit import EventDraft, EventType
from compliance.selectors import lock_tradable_accounts
from ledger.models import AssetTransaction, Bucket, CapitalEntry, Instrument
from ledger.positions import Trade
from ledger.rates import rate_card
from ledger.selectors import instruments_named, portfolio_ids_of
from ledger.services.books import Books
from oms.lib.actors import Actor
from oms.lib.clock import ist_date
from oms.lib.db import read


@dataclass(frozen=True, slots=True)
class HeldBefore:
    """Units of a CNC holding, with the average price in rupees that they were bought at."""

    exchange: str
    symbol: str
    quantity: Decimal
    average_price: Decimal


def open_holdings(account_code: str, holdings: Sequence[HeldBefore], *, actor: Actor, at: datetime) -> int:
    """Open CNC positions for an account that never had an execution; returns how many were opened.

    An account that has traded here is left alone: a difference is then a matter for reconciliation.
    """
    with transaction.atomic(durable=True):
        account = lock_tradable_accounts({account_code}, None)[account_code]
        portfolio_id = next(iter(read(portfolio_ids_of([account.pk]))[account.pk].values()), None)
        known = read(instruments_named((h.exchange, h.symbol) for h in holdings))
        wanted = [(known[h.exchange, h.symbol], h) for h in holdings if (h.exchange, h.symbol) in known]
        if portfolio_id is None or not wanted or AssetTransaction.objects.filter(account_id=account.pk).exists():
            return 0
        keys = [(portfolio_id, instrument.pk, "CNC") for instrument, _ in wanted]
        books = Books.open(portfolio_ids=[portfolio_id], position_keys=keys, create_positions=True, actor=actor, at=at)
        drafts = [_open(books, account, portfolio_id, instrument, held, at) for instrument, held in wanted]
        books.write()
        audit.record(drafts, actor=actor, at=at)
    return len(drafts)


def _open(
    books: Books, account: audit.Chained, portfolio_id: int, instrument: Instrument, held: HeldBefore, at: datetime
) -> EventDraft:
    unit_margin = rate_card(ist_date(at)).unit_margin(instrument, "CNC", "BUY", held.average_price)
    trade = Trade("BUY", held.quantity, held.average_price, unit_margin)
    portfolio = books.portfolios[portfolio_id]
    cost = books.hold((portfolio_id, instrument.pk, "CNC"), trade, trade_date=ist_date(at))
    key = f"HOLDING:{portfolio.code}:{instrument}"
    reason = f"{held.quantity:f} {instrument} held before"
    books.move(portfolio, CapitalEntry.Kind.ADJUST, cost, Bucket.OUTSIDE, Bucket.ALLOCATED, key=key, reason=reason)
    data = {
        "portfolio": portfolio.code, "amount": cost, "allocated": portfolio.allocated, "reason": reason,
        "exchange": instrument.exchange, "symbol": instrument.symbol, "quantity": held.quantity,
        "price": held.average_price,
    }  # fmt: skip
    return EventDraft(account, EventType.CAPITAL_ADJUSTED, data)
