"""Counts and values over many orders, reckoned by the database. What a figure means stands beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from rest_framework import serializers

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.pages import Page
from oms.lib.api.shapes import Shape
from oms.lib.api.wire import Document
from oms.lib.money import ZERO
from orders.models import Order
from orders.states import PUBLIC_STATUS, PublicStatus, State

_RATE = Decimal("0.0001")
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


class Figures(Shape):
    """Rupees executed, by side, and the charges on it."""

    buy_notional = ExactDecimal()
    sell_notional = ExactDecimal()
    charges = ExactDecimal()


class StatisticsDocument(Figures):
    """Over the orders that fit; rates are fractions of their number."""

    from_date = serializers.DateTimeField()
    to_date = serializers.DateTimeField(required=False)
    total_orders = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())
    fill_rate = ExactDecimal(required=False)
    reject_rate = ExactDecimal(required=False)
    rejections = serializers.DictField(child=serializers.IntegerField(), help_text="Counts by rejection code.")


def statistics_document(found: Statistics, *, from_date: datetime, to_date: datetime | None) -> Document:
    """The statistics of a period as they are sent."""
    document: Document = {
        "fromDate": from_date,
        "totalOrders": found.total,
        "byStatus": found.by_status,
        **_figures(found.figures),
        "rejections": found.rejections,
    }
    if to_date is not None:
        document["toDate"] = to_date
    if found.total:
        document["fillRate"] = _rate(found.by_status["FILLED"], found.total)
        document["rejectRate"] = _rate(found.by_status["REJECTED"], found.total)
    return document


class DayDocument(Figures):
    """One trade date (in India) of one account."""

    trade_date = serializers.DateField()
    account_id = serializers.CharField()
    total_orders = serializers.IntegerField()
    filled_orders = serializers.IntegerField()
    canceled_orders = serializers.IntegerField()
    rejected_orders = serializers.IntegerField()
    expired_orders = serializers.IntegerField()


class DayPage(Page):
    content = DayDocument(many=True)


def day_documents(rows: Sequence[Mapping[str, object]]) -> list[Document]:
    """The rows of `daily_statistics_of` as they are sent."""
    return [
        {
            "tradeDate": row["trade_date"],
            "accountId": row["account_code"],
            "totalOrders": row["total"],
            "filledOrders": row["filled"],
            "canceledOrders": row["canceled"],
            "rejectedOrders": row["rejected"],
            "expiredOrders": row["expired"],
            **_figures(row),
        }
        for row in rows
    ]


def _figures(row: Mapping[str, object]) -> Document:
    return {
        "buyNotional": row["buy_notional"],
        "sellNotional": row["sell_notional"],
        "charges": row["charges"],
    }


def _rate(part: int, whole: int) -> Decimal:
    return (Decimal(part) / whole).quantize(_RATE)
