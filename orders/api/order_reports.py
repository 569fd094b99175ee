"""What became of one order: its status, its executions, and the report on them."""

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from oms.lib.api.keysets import KeysetQuery, keyset_of
from oms.lib.api.versions import etag
from oms.lib.api.views import ApiView
from oms.lib.api.wire import json_response
from orders.api.filters import visible_order
from orders.reading.documents import ExecutionKeyset, StatusDocument, execution_document, status_members
from orders.reading.execution_reports import ExecutionReportDocument, execution_report, execution_report_document


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
        return json_response(execution_report_document(order, execution_report(order)))
