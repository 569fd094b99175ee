"""Statistics over orders: of a period, and day by day."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from oms.lib import clock
from oms.lib.api.pages import PageQuery, page_of
from oms.lib.api.views import ApiView
from oms.lib.api.wire import json_response
from orders.api.filters import OrderFilter, matching_orders, read_filter
from orders.api.report_documents import DayPage, StatisticsDocument
from orders.reading.statistics import daily_statistics_of, statistics_of

DEFAULT_PERIOD = timedelta(days=30)
_RATE = Decimal("0.0001")


class PeriodQuery(OrderFilter):
    """Without `fromDate` the last 30 days."""


class PeriodPageQuery(PeriodQuery, PageQuery):
    """Without `fromDate` the last 30 days."""


class StatisticsView(ApiView):
    @extend_schema(
        operation_id="getOrderStatistics", tags=["Orders"], parameters=[PeriodQuery], responses=StatisticsDocument
    )
    def get(self, request: Request) -> HttpResponse:
        """Counts by status and reason, and rupees executed."""
        query = _with_period(read_filter(request, PeriodQuery))
        found = statistics_of(matching_orders(request, query))
        document: dict[str, Any] = {
            "fromDate": query["from_date"],
            "totalOrders": found.total,
            "byStatus": found.by_status,
            **_figures(found.figures),
            "rejections": found.rejections,
        }
        if "to_date" in query:
            document["toDate"] = query["to_date"]
        if found.total:
            document["fillRate"] = _rate(found.by_status["FILLED"], found.total)
            document["rejectRate"] = _rate(found.by_status["REJECTED"], found.total)
        return json_response(document)


class DailyStatisticsView(ApiView):
    @extend_schema(
        operation_id="getDailyOrderStatistics", tags=["Orders"], parameters=[PeriodPageQuery], responses=DayPage
    )
    def get(self, request: Request) -> HttpResponse:
        """One row per trade date and account, newest first."""
        query = _with_period(read_filter(request, PeriodPageQuery))
        return json_response(page_of(daily_statistics_of(matching_orders(request, query)), query, _days))


def _with_period(query: dict[str, Any]) -> dict[str, Any]:
    end = query.get("to_date") or clock.now()
    return {"from_date": end - DEFAULT_PERIOD, **query}


def _days(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
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


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "buyNotional": row["buy_notional"],
        "sellNotional": row["sell_notional"],
        "charges": row["charges"],
    }


def _rate(part: int, whole: int) -> Decimal:
    return (Decimal(part) / whole).quantize(_RATE)
