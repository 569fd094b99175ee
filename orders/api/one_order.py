"""One order: reading it, changing it, cancelling it."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from compliance.acting import actor_of
from oms.lib import clock
from oms.lib.api.versions import etag, expected_version, is_unchanged
from oms.lib.api.views import ApiView, body_of
from orders.api.amending_shapes import CancelOrder, UpdateOrder
from orders.api.answers import order_response
from orders.api.filters import visible_order
from orders.reading.documents import OrderDocument
from orders.services.amendments.asking import request_cancel, request_modify
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
