"""POST /orders/cancel-all: an end to every working order that fits, with one result per order."""

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from compliance.acting import actor_of
from compliance.selectors import accounts_to_trade
from oms.lib import clock
from oms.lib.api.shapes import Shape
from oms.lib.api.views import ApiView, body_of
from oms.lib.api.wire import Document, json_response
from oms.lib.errors import DomainError
from orders.api.amending_shapes import CancelAll
from orders.api.filters import matching_orders
from orders.models import Order
from orders.services.amendments.asking import request_cancels
from orders.states import LIVE, State

#: Orders whose rows are locked together; the first are on their way while the last still wait.
CHUNK = 200


class CancelResult(Shape):
    """What became of one order of a cancel-all. `code` and `detail` say why it was refused."""

    order_id = serializers.UUIDField()
    outcome = serializers.ChoiceField(["CANCELED", "REQUESTED", "REFUSED"])
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)


class CancelAllDocument(Shape):
    results = CancelResult(many=True)


class CancelAllView(ApiView):
    @extend_schema(operation_id="cancelAllOrders", tags=["Orders"], request=CancelAll, responses=CancelAllDocument)
    def post(self, request: Request) -> HttpResponse:
        """Ask for the end of every order of mine that still works, newest first.

        Accounts that I may only view are left out. Doing it again does no harm.
        """
        given = CancelAll.read(body_of(request))
        reason = given.pop("notes", "")
        orders = matching_orders(request, given).filter(state__in=LIVE, account__in=accounts_to_trade(request.user))
        wanted = list(orders.order_by("-created_at", "-id").values_list("pk", flat=True))
        actor = actor_of(request)
        results: list[Document] = []
        for chunk in (wanted[i : i + CHUNK] for i in range(0, len(wanted), CHUNK)):
            found = request_cancels(chunk, actor=actor, at=clock.now(), user=request.user, reason=reason)
            results += [_result(order_id, found[order_id]) for order_id in chunk]
        return json_response({"results": results})


def _result(order_id: UUID, outcome: Order | DomainError) -> Document:
    if isinstance(outcome, DomainError):
        return {"orderId": order_id, "outcome": "REFUSED", "code": outcome.code, "detail": outcome.detail}
    return {"orderId": order_id, "outcome": "CANCELED" if outcome.state == State.CANCELED else "REQUESTED"}
