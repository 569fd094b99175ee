"""A portfolio's capital in one look: where it is, and where it came from and went."""

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Count, Q, Sum

from ledger.models import Bucket, CapitalAccount, CapitalEntry
from oms.lib.money import ZERO

Kind, Status = CapitalEntry.Kind, CapitalEntry.Status


@dataclass(frozen=True, slots=True)
class CapitalSummary:
    """Rupees. free + reserved + allocated = deposits − withdrawals + realised P&L − charges + adjustments."""

    free: Decimal
    reserved: Decimal
    allocated: Decimal
    deposits: Decimal
    withdrawals: Decimal
    realised_pnl: Decimal
    charges: Decimal
    adjustments: Decimal
    open_reservations: int

    @property
    def total(self) -> Decimal:
        return self.free + self.reserved + self.allocated


def summary(portfolio: CapitalAccount) -> CapitalSummary:
    """Reckoned from the entries; the buckets are the portfolio's own."""
    came: dict[str, Decimal] = dict.fromkeys(Kind.values, ZERO)
    rows = portfolio.entries.order_by().values_list("kind").annotate(
        incoming=Sum("amount", filter=Q(debit=Bucket.OUTSIDE), default=ZERO),
        outgoing=Sum("amount", filter=Q(credit=Bucket.OUTSIDE), default=ZERO),
    )  # fmt: skip
    for kind, incoming, outgoing in rows:
        came[kind] = incoming - outgoing
    reservations = portfolio.entries.filter(kind=Kind.RESERVE, status__in=(Status.PENDING, Status.RECONCILING))
    return CapitalSummary(
        free=portfolio.free,
        reserved=portfolio.reserved,
        allocated=portfolio.allocated,
        deposits=came[Kind.DEPOSIT],
        withdrawals=-came[Kind.WITHDRAW],
        realised_pnl=came[Kind.REALISE],
        charges=-came[Kind.CHARGE],
        adjustments=came[Kind.ADJUST],
        open_reservations=reservations.aggregate(n=Count("pk"))["n"],
    )
