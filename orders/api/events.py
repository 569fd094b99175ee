"""What happened to an order: its history for people, its audit trail with proofs for auditors."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from compliance.api.documents import AuditTrailDocument, EventKeyset, chained_event_document, event_document
from compliance.selectors import order_events
from compliance.verification import ChainReport, verify_chain
from oms.lib.api.keysets import KeysetQuery, keyset_of
from oms.lib.api.views import ApiView
from oms.lib.api.wire import json_response
from orders.api.filters import visible_order


class HistoryView(ApiView):
    @extend_schema(operation_id="getOrderHistory", tags=["Orders"], parameters=[KeysetQuery], responses=EventKeyset)
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        """The order's events, oldest first."""
        order = visible_order(request, order_id)
        query = KeysetQuery.read_query(request.query_params)
        return json_response(keyset_of(order_events(order.id), query, key="seq", document=event_document))


class AuditTrailView(ApiView):
    @extend_schema(operation_id="getAuditTrail", tags=["Order events"], responses=AuditTrailDocument)
    def get(self, request: Request, order_id: UUID) -> HttpResponse:
        """Every event of the order, oldest first, with what is needed to recompute its hash.

        `verification` is what recomputing the whole chain from the stored bytes gave just now.
        """
        order = visible_order(request, order_id)
        chain = list(order_events(order.id))
        return json_response(
            {
                "orderId": order.id,
                "verification": _verification(verify_chain(chain, head=bytes(order.event_hash))),
                "events": [chained_event_document(event) for event in chain],
            }
        )


def _verification(report: ChainReport) -> dict[str, Any]:
    document: dict[str, Any] = {"ok": report.ok, "count": report.count, "message": report.message}
    if report.first_wrong_seq is not None:
        document["firstWrongSeq"] = report.first_wrong_seq
    return document
