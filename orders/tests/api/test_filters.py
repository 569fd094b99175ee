"""Which orders a query finds, against a plain reading of the same orders: any filters together, nobody else's ever."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import Http404
from django.http.request import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oms.lib.clock import now
from oms.lib.errors import Invalid
from oms.lib.ids import new_id
from orders.api.filters import OrderFilter, matching_orders, read_filter, visible_order
from orders.models import Order
from orders.states import PUBLIC_STATUS, State
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus, Side

AT = now() - timedelta(hours=10)
VALUES: dict[str, list[str]] = {
    "status": ["PENDING", "FILLED", "REJECTED", "OPEN", "EXPIRED"],
    "accountId": ["DEMO", "OTHER", "NOBODYS"],
    "symbol": ["SBIN", "NSE:SBIN", "INFY", "BSE:SBIN"],
    "side": ["BUY", "SELL"],
    "type": ["LIMIT", "STOP_LIMIT"],
    "strategyId": ["s1", "s2"],
    "clientOrderId": ["c0", "c3"],
    "fromDate": [(AT + timedelta(hours=h)).isoformat() for h in (-1, 2, 4)],
    "toDate": [(AT + timedelta(hours=h)).isoformat() for h in (4, 5, 9)],
}
#: How one reads each filter off an order.
FITS: dict[str, Callable[[Order, str], bool]] = {
    "status": lambda order, value: PUBLIC_STATUS[State(order.state)] == value,
    "accountId": lambda order, value: order.account.code == value,
    "symbol": lambda order, value: value in (order.symbol, f"{order.exchange}:{order.symbol}"),
    "side": lambda order, value: order.side == value,
    "type": lambda order, value: order.type == value,
    "strategyId": lambda order, value: order.strategy_id == value,
    "clientOrderId": lambda order, value: order.client_order_id == value,
    "fromDate": lambda order, value: order.created_at.isoformat() >= value,
    "toDate": lambda order, value: order.created_at.isoformat() < value,
}


@pytest.fixture
def orders(trader: Any, outsider: Any, other_account: Any, sbin: Any, infy: Any) -> list[Order]:
    """One an hour: filled, working, refused, waiting, of two symbols, strategies and accounts."""
    told: list[dict[str, Any]] = [
        {"user": trader, "strategy_id": "s1"},
        {"user": trader, "symbol": "INFY", "strategy_id": "s2"},
        {"user": trader, "side": Side.SELL},
        {"user": trader, "price": 5000, "strategy_id": "s1"},
        {"user": trader, "type": "STOP_LIMIT", "stop_price": 990},
        {"user": outsider, "account": "OTHER", "strategy_id": "s1"},
    ]
    made = [
        place(at=AT + timedelta(hours=hour), client_order_id=f"c{hour}", **given_) for hour, given_ in enumerate(told)
    ]
    filled = send(made[0])
    see(filled, BrokerStatus.COMPLETE, [trade(filled, 1, 10)])
    return list(Order.objects.select_related("account").filter(pk__in=[order.pk for order in made]))


def request_of(user: Any, **query: Any) -> Any:
    text = QueryDict(mutable=True)
    for name, value in query.items():
        text[name] = value
    return SimpleNamespace(user=user, query_params=text)


def found(user: Any, **query: Any) -> set[Any]:
    request = request_of(user, **query)
    return set(matching_orders(request, read_filter(request, OrderFilter)).values_list("pk", flat=True))


def test_the_orders_are_of_many_kinds(orders: list[Order]) -> None:
    assert {order.state for order in orders} >= {"FILLED", "SUBMITTING", "REJECTED"}
    assert {order.side for order in orders} == {"BUY", "SELL"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()}))
def test_filters_narrow_together_as_each_does_alone(
    orders: list[Order], trader: Any, operator: Any, query: dict[str, str]
) -> None:
    fitting = {order for order in orders if all(FITS[name](order, value) for name, value in query.items())}
    assert found(operator, **query) == {order.pk for order in fitting}
    assert found(trader, **query) == {order.pk for order in fitting if order.account.code == "DEMO"}


def test_every_filter_has_its_reading_here() -> None:
    assert FITS.keys() == VALUES.keys() == set(OrderFilter.bound().fields)


@pytest.mark.parametrize(
    ("begin", "end", "is_taken"), [(0, 1, True), (0, 0, True), (1, 0, False)]
)  # the end is not included
def test_a_period_does_not_end_before_it_begins(trader: Any, begin: int, end: int, is_taken: bool) -> None:
    query = {"fromDate": (AT + timedelta(hours=begin)).isoformat(), "toDate": (AT + timedelta(hours=end)).isoformat()}
    if is_taken:
        assert found(trader, **query) == set()
    else:
        with pytest.raises(Invalid) as refusal:
            found(trader, **query)
        assert [error.pointer for error in refusal.value.errors] == ["/toDate"]


def test_one_order_is_shown_to_those_who_see_its_account(
    orders: list[Order], trader: Any, viewer: Any, outsider: Any, officer: Any
) -> None:
    order = orders[0]
    for user in (trader, viewer, officer):
        assert visible_order(request_of(user), order.pk) == order
    for user, pk in ((outsider, order.pk), (trader, new_id())):
        with pytest.raises(Http404):
            visible_order(request_of(user), pk)
