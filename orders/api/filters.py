"""From the query strings of the order endpoints to querysets that the caller may see."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request

from oms.lib.api.pages import PageQuery
from oms.lib.api.shapes import Shape
from oms.lib.errors import FieldError, Invalid
from orders.api.shapes import symbol_field
from orders.models import Order
from orders.selectors import orders_visible_to
from orders.states import PUBLIC_STATUS, PublicStatus
from orders.types import OrderType, Side


class OrderFilter(Shape):
    """Which orders; dates are of creation, `fromDate` included and `toDate` not."""

    status = serializers.ChoiceField(PublicStatus.values, required=False)
    account_id = serializers.CharField(max_length=36, required=False)
    symbol = symbol_field(required=False)
    side = serializers.ChoiceField(Side.values, required=False)
    type = serializers.ChoiceField(OrderType.values, required=False)
    strategy_id = serializers.CharField(max_length=36, required=False)
    client_order_id = serializers.CharField(max_length=64, required=False)
    from_date = serializers.DateTimeField(required=False)
    to_date = serializers.DateTimeField(required=False)


class OrderPageQuery(OrderFilter, PageQuery):
    """Orders, newest first."""


_LOOKUPS = {
    "account_id": "account__code",
    "side": "side",
    "type": "type",
    "strategy_id": "strategy_id",
    "client_order_id": "client_order_id",
    "from_date": "created_at__gte",
    "to_date": "created_at__lt",
}


def read_filter(request: Request, shape: type[Shape]) -> dict[str, Any]:
    """The checked query. Raises Invalid, also for a period that ends before it begins."""
    query = shape.read_query(request.query_params)
    begin, end = query.get("from_date"), query.get("to_date")
    if begin and end and begin > end:
        message = "Must not be before fromDate."
        raise Invalid(message, errors=(FieldError("/toDate", "out_of_range", message),))
    return query


def matching_orders(request: Request, query: dict[str, Any]) -> "QuerySet[Order]":
    """The caller's orders that fit, in no particular order."""
    orders = orders_visible_to(request.user)
    orders = orders.filter(**{_LOOKUPS[name]: value for name, value in query.items() if name in _LOOKUPS})
    if status := query.get("status"):
        orders = orders.filter(state__in=[state for state, public in PUBLIC_STATUS.items() if public == status])
    if symbol := query.get("symbol"):
        exchange, _, bare = symbol.rpartition(":")
        orders = orders.filter(symbol=bare, **({"exchange": exchange} if exchange else {}))
    return orders


def visible_order(request: Request, order_id: Any) -> Order:
    """One order with its account and portfolio. Raises Http404, the same for absent and for not yours."""
    order = orders_visible_to(request.user).select_related("account", "portfolio").filter(pk=order_id).first()
    if order is None:
        raise Http404
    return order
