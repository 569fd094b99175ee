"""Counts and values over many orders, reckoned by the database. What a figure means stands beside it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from oms.lib.money import ZERO
from orders.models import Order
from orders.states import PUBLIC_STATUS, PublicStatus, State

#: Rupees executed, whatever became of the rest of the order.
_FIGURES = {
    "buy_notional": Sum("filled_value", filter=Q(side="BUY"), default=ZERO),
    "sell_notional": Sum("filled_value", filter=Q(side="SELL"), default=ZERO),
    "charges": Sum("charges", default=ZERO),
}


def _states(*statuses: PublicStatus) -> list[State]:
    return [state for state, public in PUBLIC_STATUS.items() if public in statuses]


@dataclass(frozen=True, slots=True)
class Statistics:
    """`by_status` has every public status; `figures` are rupees by name; `rejections` counts by code."""

    by_status: dict[str, int]
    figures: dict[str, Decimal]
    rejections: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_status.values())


def statistics_of(orders: "QuerySet[Order]") -> Statistics:
    """Three aggregates over the given orders."""
    by_status: dict[str, int] = dict.fromkeys(PublicStatus.values, 0)
    for state, count in orders.order_by().values_list("state").annotate(Count("id")):
        by_status[PUBLIC_STATUS[State(state)]] += count
    refused = orders.exclude(rejection_code="").order_by().values_list("rejection_code").annotate(Count("id"))
    return Statistics(by_status, orders.aggregate(**_FIGURES), dict(refused))


def daily_statistics_of(orders: "QuerySet[Order]") -> "QuerySet[Order, Any]":
    """One row per trade date and account, newest first."""
    counts = {
        "total": Count("id"),
        "filled": Count("id", filter=Q(state__in=_states(PublicStatus.FILLED))),
        "canceled": Count("id", filter=Q(state__in=_states(PublicStatus.CANCELED))),
        "rejected": Count("id", filter=Q(state__in=_states(PublicStatus.REJECTED))),
        "expired": Count("id", filter=Q(state__in=_states(PublicStatus.EXPIRED))),
    }
    rows = orders.values("trade_date", account_code=F("account__code")).annotate(**counts, **_FIGURES)
    return rows.order_by("-trade_date", "account_code")
