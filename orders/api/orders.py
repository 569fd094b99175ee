"""One order: reading it, changing it, cancelling it."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from compliance.api.actors import actor_of
from oms.lib import clock
from oms.lib.api.pages import KeysetQuery, keyset_of
from oms.lib.api.versions import etag, expected_version, is_unchanged
from oms.lib.api.views import ApiView, body_of
from oms.lib.api.wire import json_response
from orders.api.answers import order_response
from orders.api.documents import ExecutionKeyset, ExecutionReportDocument, OrderDocument, StatusDocument
from orders.api.queries import visible_order
from orders.api.shapes import CancelOrder, UpdateOrder
from orders.documents import execution_document, status_members
from orders.models import Order
from orders.reports import ExecutionReport, execution_report
from orders.services.amendment import request_cancel, request_modify
from orders.types import Modification, OrderType, TimeInForce

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag that you read; 412 when it is old."
)


class OrderView(ApiView):
    @extend_schema(operation_id="getOrder", tags=["Orders"], responses={200: OrderDocument, 304: None})
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        """The order as it stands; ETag is its version."""
        order = visible_order(request, order_id)
        if is_unchanged(request._request, order.version):
            return HttpResponse(status=304, headers={"ETag": etag(order.version)})
        return order_response(order)

    @extend_schema(
        operation_id="updateOrder", tags=["Orders"], parameters=[IF_MATCH], request=UpdateOrder, responses=OrderDocument
    )
    def put(self, request: Request, order_id: UUID) -> HttpResponse:
        """Ask for new terms (MODIFY) or for the end of the order (CANCEL).

        The answer shows the request under `pendingAmendments` until the broker has decided on it.
        """
        given = UpdateOrder.read(body_of(request))
        action, reason = given.pop("action"), given.pop("notes", "")
        return _amend(request, order_id, _modification(given) if action == "MODIFY" else None, reason)


class CancelView(ApiView):
    @extend_schema(
        operation_id="cancelOrder", tags=["Orders"], parameters=[IF_MATCH], request=CancelOrder, responses=OrderDocument
    )
    def put(self, request: Request, order_id: UUID) -> HttpResponse:
        """Ask for the end of the order. One that has not left the house ends at once."""
        reason = CancelOrder.read(body_of(request)).get("notes", "")
        return _amend(request, order_id, None, reason)


def _amend(request: Request, order_id: UUID, changes: Modification | None, reason: str) -> HttpResponse:
    """New terms, or none for a cancellation."""
    order = visible_order(request, order_id)
    common: dict[str, Any] = {
        "actor": actor_of(request),
        "at": clock.now(),
        "user": request.user,
        "expected_version": expected_version(request._request),
        "reason": reason,
    }
    if changes is None:
        request_cancel(order.id, **common)
    else:
        request_modify(order.id, changes, **common)
    return order_response(visible_order(request, order_id))


def _modification(given: dict[str, Any]) -> Modification:
    if "type" in given:
        given["type"] = OrderType(given["type"])
    if "time_in_force" in given:
        given["time_in_force"] = TimeInForce(given["time_in_force"])
    return Modification(**given)


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
