"""Orders as HTTP answers: the document with its entity tag, and the problem document of a refused order."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpResponse

from compliance.idempotency import StoredAnswer
from oms.lib.api.problems import problem_bytes
from oms.lib.api.versions import etag
from oms.lib.api.wire import json_bytes, json_response
from oms.lib.errors import FieldError
from orders.models import Order
from orders.reading.documents import order_document
from orders.reading.execution_reports import effective_executions, open_amendments
from orders.services.placement import Placement

ORDERS = "/api/v1/orders"


def order_documents(orders: Iterable[Order]) -> list[dict[str, Any]]:
    """The documents of orders read with account and portfolio. Two more queries, however many there are."""
    orders = list(orders)
    executions = effective_executions([order.id for order in orders if order.filled_quantity])
    amendments = open_amendments([order.id for order in orders if order.ended_at is None])
    return [
        order_document(order, executions=executions.get(order.id, ()), amendments=amendments.get(order.id, ()))
        for order in orders
    ]


def order_response(order: Order, *, status: int = 200) -> HttpResponse:
    """The order as it stands, with its version as ETag."""
    return json_response(order_documents([order])[0], status=status, headers={"ETag": etag(order.version)})


def placed(placement: Placement) -> StoredAnswer:
    """What to answer to the placing of a stored order: 201, or 422 with its id when it was refused."""
    order, denial = placement.order, placement.denial
    assert order is not None, "what was not stored is answered with its error"
    if denial is None:
        return StoredAnswer(201, json_bytes(order_document(order)))
    errors = (FieldError(denial.pointer, order.rejection_code, order.rejection_reason),)
    body = problem_bytes(
        422,
        code=order.rejection_code,
        title="The order was refused",
        detail=order.rejection_reason,
        instance=f"{ORDERS}/{order.id}",
        errors=errors,
        orderId=order.id,
    )
    return StoredAnswer(422, body)
