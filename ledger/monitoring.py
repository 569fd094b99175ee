"""What the live page shows of capital: the sum of all buckets, and the largest portfolios."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import F, Sum

from ledger.models import CapitalAccount
from ledger.selectors import portfolios_visible_to
from oms.lib.money import ZERO
from oms.lib.users import User


@dataclass(frozen=True, slots=True)
class Buckets:
    """Rupees in each bucket, over all visible portfolios."""

    free: Decimal
    reserved: Decimal
    allocated: Decimal


def capital_in_all(user: User) -> Buckets:
    """The three buckets summed."""
    sums = portfolios_visible_to(user).aggregate(free=Sum("free"), reserved=Sum("reserved"), allocated=Sum("allocated"))
    return Buckets(**{name: amount or ZERO for name, amount in sums.items()})


def busiest_portfolios(user: User, *, limit: int) -> Sequence[CapitalAccount]:
    """The portfolios with most at work, reserved and allocated together."""
    return list(portfolios_visible_to(user).order_by(-(F("reserved") + F("allocated")), "code")[:limit])
