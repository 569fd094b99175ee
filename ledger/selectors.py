"""Reading what accounts have. Every queryset for a person is filtered by that person's accounts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet, Sum
from redis import RedisError

from compliance.selectors import accounts_visible_to
from ledger.models import BrokerInstrument, CapitalAccount, CapitalEntry, Instrument, Position
from oms.lib.db import Read, distinct, model_read, read
from oms.lib.money import ZERO
from oms.lib.redis import BRIEF_SECONDS, client
from oms.lib.users import User

AVAILABLE_SECONDS = 30


def portfolios_visible_to(user: User) -> "QuerySet[CapitalAccount]":
    """The portfolios of the user's accounts."""
    return CapitalAccount.objects.filter(account__in=accounts_visible_to(user)).select_related("account")


def positions_visible_to(user: User) -> "QuerySet[Position]":
    """The positions of the user's accounts."""
    return Position.objects.filter(account__in=accounts_visible_to(user)).select_related(
        "account", "capital_account", "instrument"
    )


def entries_of(portfolio: CapitalAccount) -> "QuerySet[CapitalEntry]":
    """A portfolio's entries, newest first."""
    return portfolio.entries.order_by("-seq")


def entries_of_order(order_id: UUID) -> "QuerySet[CapitalEntry]":
    """The capital that one order moved, oldest first."""
    return CapitalEntry.objects.filter(order_id=order_id).order_by("seq")


def instruments_named(names: Iterable[tuple[str, str]]) -> Read[dict[tuple[str, str], Instrument]]:
    """Instruments by (exchange, symbol); those that do not exist are left out."""
    pairs = sorted(set(names))
    found = model_read(
        Instrument,
        """JOIN unnest(%(exchanges)s::text[], %(symbols)s::text[]) AS k(exchange, symbol)
           ON t.exchange = k.exchange AND t.symbol = k.symbol""",
        {"exchanges": [exchange for exchange, _ in pairs], "symbols": [symbol for _, symbol in pairs]},
    )
    return found.then(lambda rows: {(row.exchange, row.symbol): row for row in rows})


def instruments_by_id(ids: Iterable[int | None]) -> Read[dict[int, Instrument]]:
    """Instruments by primary key."""
    wanted = model_read(Instrument, "WHERE t.id = ANY(%(ids)s)", {"ids": distinct(ids)})
    return wanted.then(lambda rows: {row.pk: row for row in rows})


def portfolio_ids_of(account_ids: Sequence[int]) -> Read[dict[int, dict[str, int]]]:
    """Per account its portfolios' ids by code, the first-made first."""

    def by_account(rows: list[tuple[Any, ...]]) -> dict[int, dict[str, int]]:
        found: dict[int, dict[str, int]] = {account_id: {} for account_id in account_ids}
        for account_id, code, pk in rows:
            found[account_id][code] = pk
        return found

    statement = "SELECT account_id, code, id FROM ledger_capitalaccount WHERE account_id = ANY(%(ids)s) ORDER BY id"
    return Read(statement, {"ids": list(account_ids)}, by_account)


def held_units(account_ids: Sequence[int]) -> Read[dict[tuple[int, int], Decimal]]:
    """Signed units held by (account, instrument), over all portfolios and products."""
    return Read(
        """SELECT account_id, instrument_id, sum(quantity) FROM ledger_position
           WHERE account_id = ANY(%(ids)s) GROUP BY account_id, instrument_id""",
        {"ids": list(account_ids)},
        lambda rows: {(account, instrument): units for account, instrument, units in rows},
    )


def instruments_held(account_ids: Sequence[int]) -> Read[set[int]]:
    """Instruments of which any of the accounts has a position that is not flat."""
    return Read(
        "SELECT DISTINCT instrument_id FROM ledger_position WHERE account_id = ANY(%(ids)s) AND quantity <> 0",
        {"ids": list(account_ids)},
        lambda rows: {instrument for (instrument,) in rows},
    )


def open_reservations(order_ids: Sequence[UUID]) -> dict[UUID, Decimal]:
    """Rupees that each order still holds in reserve, reckoned from its entries."""
    return read(reserved_for(order_ids))


def reserved_for(order_ids: Sequence[UUID]) -> Read[dict[UUID, Decimal]]:
    """The read of `open_reservations`, for who makes others in the same round trip."""
    return Read(
        """SELECT order_id, sum(CASE WHEN credit = 'RESERVED' THEN amount ELSE -amount END)
           FROM ledger_capitalentry
           WHERE order_id = ANY(%(ids)s) AND (debit = 'RESERVED' OR credit = 'RESERVED')
           GROUP BY order_id""",
        {"ids": list(order_ids)},
        dict,
    )


def available(portfolio: CapitalAccount) -> Decimal:
    """Free capital in rupees, from a cache of 30 s that every posting clears. For showing, never for deciding."""
    key = _available_key(portfolio.code)
    try:
        cached = client().get(key)
    except RedisError:
        return _fresh_free(portfolio)
    if isinstance(cached, str):
        return Decimal(cached)
    free = _fresh_free(portfolio)
    try:
        client().set(key, str(free), ex=AVAILABLE_SECONDS)
    except RedisError:
        pass  # the cache is a convenience
    return free


def forget_available(codes: Iterable[str]) -> None:
    """Drop the cached free capital of portfolios, after a commit that moved it."""
    try:
        client(timeout=BRIEF_SECONDS).delete(*(_available_key(code) for code in codes))
    except RedisError:
        pass  # at worst a reader sees a figure up to 30 s old, as it may anyway


def _available_key(code: str) -> str:
    return f"capital:available:{code}"


def _fresh_free(portfolio: CapitalAccount) -> Decimal:
    return CapitalAccount.objects.values_list("free", flat=True).get(pk=portfolio.pk)


@dataclass(frozen=True, slots=True)
class Imbalance:
    """One invariant of the books that does not hold: what, where, and by how many rupees."""

    portfolio: str
    rule: str
    expected: Decimal
    found: Decimal


def trial_balance() -> list[Imbalance]:
    """Every broken invariant of every portfolio; an empty list is what it should be.

    Buckets against the sum of entries; reserved against the open reservations; allocated against the
    positions; and in minus out against what is there.
    """
    wrong: list[Imbalance] = []
    for portfolio in CapitalAccount.objects.order_by("pk"):
        sums = _bucket_sums(portfolio)
        tied = portfolio.positions.aggregate(total=Sum("allocated"))["total"] or ZERO
        checks = [
            ("free = Σ entries", sums["FREE"], portfolio.free),
            ("reserved = Σ entries", sums["RESERVED"], portfolio.reserved),
            ("allocated = Σ entries", sums["ALLOCATED"], portfolio.allocated),
            ("allocated = Σ positions", tied, portfolio.allocated),
            ("money in − out = Σ buckets", -sums["OUTSIDE"], portfolio.free + portfolio.reserved + portfolio.allocated),
        ]
        wrong += [Imbalance(portfolio.code, rule, want, got) for rule, want, got in checks if want != got]
    return wrong


def _bucket_sums(portfolio: CapitalAccount) -> dict[str, Decimal]:
    sums = dict.fromkeys(("OUTSIDE", "FREE", "RESERVED", "ALLOCATED"), ZERO)
    rows = portfolio.entries.values_list("debit", "credit").annotate(total=Sum("amount"))
    for debit, credit, total in rows:
        sums[debit] -= total
        sums[credit] += total
    return sums


def names_at(kind: str, *, with_tokens: bool) -> list[tuple[str, str, str, str]]:
    """(exchange, our symbol, its symbol, its token) of what a kind of broker lists.

    Only of what it spells otherwise than we do, unless `with_tokens`.
    """
    rows = BrokerInstrument.objects.filter(kind=kind, is_listed=True)
    if not with_tokens:
        rows = rows.exclude(symbol=F("instrument__symbol"))
    return list(rows.values_list("exchange", "instrument__symbol", "symbol", "token"))
