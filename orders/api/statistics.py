"""Statistics over orders: of a period, and day by day."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from oms.lib import clock
from oms.lib.api.pages import PageQuery, page_of
from oms.lib.api.views import ApiView
from oms.lib.api.wire import json_response
from orders.api.filters import OrderFilter, matching_orders, read_filter
from orders.reading.statistics import (
    DayPage,
    StatisticsDocument,
    daily_statistics_of,
    day_documents,
    statistics_document,
    statistics_of,
)

DEFAULT_PERIOD = timedelta(days=30)


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
        document = statistics_document(found, from_date=query["from_date"], to_date=query.get("to_date"))
        return json_response(document)


class DailyStatisticsView(ApiView):
    @extend_schema(
        operation_id="getDailyOrderStatistics", tags=["Orders"], parameters=[PeriodPageQuery], responses=DayPage
    )
    def get(self, request: Request) -> HttpResponse:
        """One row per trade date and account, newest first."""
        query = _with_period(read_filter(request, PeriodPageQuery))
        return json_response(page_of(daily_statistics_of(matching_orders(request, query)), query, day_documents))


def _with_period(query: dict[str, Any]) -> dict[str, Any]:
    end = query.get("to_date") or clock.now()
    return {"from_date": end - DEFAULT_PERIOD, **query}
