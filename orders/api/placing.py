"""POST and GET on /orders: placing one order (the path that must be fast), and listing them."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from compliance.acting import actor_of
from compliance.api.idempotency import HEADER, idempotent, replayed
from oms.lib import clock
from oms.lib.api.pages import page_of
from oms.lib.api.problems import MEDIA_TYPE
from oms.lib.api.versions import etag
from oms.lib.api.views import ApiView, body_of
from oms.lib.api.wire import json_response
from orders.api.answers import ORDERS, order_documents, placed
from orders.api.filters import OrderPageQuery, matching_orders, read_filter
from orders.api.shapes import PlaceOrder, order_request
from orders.reading.documents import OrderDocument, OrderPage, RefusedOrder
from orders.services.joining import place_joined
from orders.services.placement import Intent, Placement

IDEMPOTENCY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="The same key and body: the first answer again, with `Idempotent-Replayed: true`. Another body: 422.",
)


class OrdersView(ApiView):
    @extend_schema(
        operation_id="createOrder", tags=["Orders"], parameters=[IDEMPOTENCY], request=PlaceOrder,
        responses={201: OrderDocument, (422, MEDIA_TYPE): RefusedOrder},
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Place an order: durable when answered, sent to the broker right after.

        An order that a risk rule or missing capital refuses is stored all the same; the 422 names its id.
        """
        wanted = order_request(PlaceOrder.read(body_of(request)))
        reference = f"{wanted.account}:{wanted.client_order_id}" if wanted.client_order_id else ""
        key = idempotent(request, placed, own_reference=reference)
        intent = Intent(wanted, actor_of(request, algo_id=wanted.algo_id), request.user, key)
        return _answer(place_joined(intent, at=clock.now()))

    @extend_schema(operation_id="listOrders", tags=["Orders"], parameters=[OrderPageQuery], responses=OrderPage)
    def get(self, request: Request) -> HttpResponse:
        """My orders, newest first."""
        query = read_filter(request, OrderPageQuery)
        orders = matching_orders(request, query).select_related("account", "portfolio").order_by("-created_at", "-id")
        return json_response(page_of(orders, query, order_documents))


def _answer(placement: Placement) -> HttpResponse:
    if placement.error is not None:
        raise placement.error
    if placement.is_repeat and placement.answer is not None:
        return replayed(placement.answer)
    answer, order = placement.answer or placed(placement), placement.order
    if answer.status >= 400 or order is None:
        return HttpResponse(answer.body, status=answer.status, content_type=MEDIA_TYPE)
    headers = {"Location": f"{ORDERS}/{order.id}", "ETag": etag(order.version)}
    return HttpResponse(answer.body, status=answer.status, content_type="application/json", headers=headers)
