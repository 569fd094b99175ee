"""What became of one order: its status, its executions, and the report on them."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from oms.lib.api.keysets import KeysetQuery, keyset_of
from oms.lib.api.versions import etag
from oms.lib.api.views import ApiView
from oms.lib.api.wire import json_response
from orders.api.documents import ExecutionKeyset, StatusDocument
from orders.api.filters import visible_order
from orders.api.report_documents import ExecutionReportDocument
from orders.models import Order
from orders.reading.documents import execution_document, status_members
from orders.reading.execution_reports import ExecutionReport, execution_report


class StatusView(ApiView):
    @extend_schema(operation_id="getOrderStatus", tags=["Orders"], responses=StatusDocument)
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        """Just where the order stands."""
        order = visible_order(request, order_id)
        return json_response({"id": order.id, **status_members(order)}, headers={"ETag": etag(order.version)})


class ExecutionsView(ApiView):
    @extend_schema(operation_id="listExecutions", tags=["Orders"], parameters=[KeysetQuery], responses=ExecutionKeyset)
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        """Every execution as recorded, oldest first, with those that a later one reverses."""
        order = visible_order(request, order_id)
        query = KeysetQuery.read_query(request.query_params)
        return json_response(keyset_of(order.executions.all(), query, key="id", document=execution_document))


class ExecutionReportView(ApiView):
    @extend_schema(operation_id="getExecutionReport", tags=["Orders"], responses=ExecutionReportDocument)
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        """How well the order was executed."""
        order = visible_order(request, order_id)
        return json_response(_report(order, execution_report(order)))


def _report(order: Order, report: ExecutionReport) -> dict[str, Any]:
    document: dict[str, Any] = {
        "orderId": order.id,
        "accountId": order.account.code,
        "exchange": order.exchange,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.type,
        **{name: value for name, value in status_members(order).items() if name in {"status", "state", "quantity"}},
        "filledQuantity": report.filled_quantity,
        "fills": len(report.executions),
        "value": report.value,
        "charges": report.charges,
        "executions": [execution_document(execution) for execution in report.executions],
    }
    optional: dict[str, Any] = {
        "averagePrice": report.average_price,
        "firstFillAt": report.first_fill_at,
        "lastFillAt": report.last_fill_at,
        "completedAt": report.completed_at,
    }
    if report.slippage:
        optional["slippage"] = {
            "arrivalPrice": report.slippage.arrival_price,
            "perUnit": report.slippage.per_unit,
            "amount": report.slippage.amount,
            "basisPoints": report.slippage.basis_points,
        }
    document.update((name, value) for name, value in optional.items() if value is not None)
    return document
