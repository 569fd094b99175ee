"""Who gets in where: every URL against every role, and nobody's data through anybody else's door.

The lists of URLs come from the URL configuration itself, so an endpoint that is added without a line
here fails.
"""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client as SessionClient
from django.urls import get_resolver
from django.urls.resolvers import URLPattern

from ledger.models import CapitalEntry
from oms.tests.api_cast import ORDERS, Cast, Client, cast, client_of, fill, limit_buy
from orders.models import Amendment, Order

__all__ = ["cast"]

ROLES = ("nobody", "trader", "viewer", "outsider", "operator", "officer")


def answers(nobody: int, trader: int, viewer: int, outsider: int, operator: int, officer: int) -> dict[str, int]:
    return dict(zip(ROLES, (nobody, trader, viewer, outsider, operator, officer), strict=True))


OPEN = answers(200, 200, 200, 200, 200, 200)
LOGGED_IN = answers(401, 200, 200, 200, 200, 200)
#: Something of DEMO's: members and staff see it, others cannot tell that it exists.
DEMOS = answers(401, 200, 200, 404, 200, 200)
#: A change to something of DEMO's: viewers and officers may look but not touch.
TRADERS = answers(401, 200, 403, 404, 200, 403)

#: (URL name, method) → status by role. Bodies are in `_body`.
MATRIX: dict[tuple[str, str], dict[str, int]] = {
    ("auth-token", "POST"): answers(401, 401, 401, 401, 401, 401),
    ("auth-refresh", "POST"): answers(401, 401, 401, 401, 401, 401),
    ("auth-logout", "POST"): answers(401, 401, 401, 401, 401, 401),
    ("accounts", "GET"): LOGGED_IN,
    ("instruments", "GET"): LOGGED_IN,
    ("instrument", "GET"): LOGGED_IN,
    ("capital-deposit", "POST"): answers(401, 403, 403, 403, 201, 403),
    ("capital-available", "GET"): DEMOS,
    ("capital-summary", "GET"): DEMOS,
    ("capital-history", "GET"): DEMOS,
    ("positions", "GET"): LOGGED_IN,
    ("orders", "GET"): LOGGED_IN,
    ("orders", "POST"): answers(401, 201, 403, 404, 201, 403),
    ("orders-cancel-all", "POST"): LOGGED_IN,
    ("orders-statistics", "GET"): LOGGED_IN,
    ("orders-daily-statistics", "GET"): LOGGED_IN,
    ("order", "GET"): DEMOS,
    ("order", "PUT"): TRADERS,
    ("order-cancel", "PUT"): TRADERS,
    ("order-status", "GET"): DEMOS,
    ("order-history", "GET"): DEMOS,
    ("order-executions", "GET"): DEMOS,
    ("order-execution-report", "GET"): DEMOS,
    ("audit-trail", "GET"): DEMOS,
    ("schema", "GET"): OPEN,
    ("docs", "GET"): OPEN,
    # Signed by the broker, not by a login: a stranger's word is refused whoever carries it.
    ("postback", "POST"): answers(403, 403, 403, 403, 403, 403),
    # A page for staff with a browser session; a bearer token opens nothing there.
    ("callback", "GET"): answers(302, 302, 302, 302, 302, 302),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def _urls(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern
        else:
            yield from _urls(pattern.url_patterns, route)


ALL_URLS = list(_urls(get_resolver().url_patterns))
API_URLS = {str(pattern.name): route for route, pattern in ALL_URLS if route.startswith("api/")}


def path_of(name: str, cast: Cast, order_id: str) -> str:
    route = "/" + API_URLS[name]
    fillings = {
        "<uuid:order_id>": order_id,
        "<code:portfolio_id>": cast.portfolio.code,
        "<code:exchange>": "NSE",
        "<code:symbol>": "SBIN",
        "<slug:broker>": "kite",
    }
    for gap, filling in fillings.items():
        route = route.replace(gap, filling)
    assert "<" not in route, f"say here what to fill into {route}"
    return route


def _body(name: str, cast: Cast) -> dict[str, Any] | None:
    bodies: dict[str, dict[str, Any]] = {
        "auth-token": {"username": str(uuid4()), "password": "wrong"},  # one name would be locked out
        "auth-refresh": {"refresh": "x"},
        "auth-logout": {"refresh": "x"},
        "orders": limit_buy(),
        "order": {"action": "MODIFY", "price": 999.9},
        "capital-deposit": {"portfolioId": cast.portfolio.code, "amount": 100, "reason": "by cheque"},
    }
    return bodies.get(name, {})


def place(cast: Cast) -> str:
    document = client_of(cast.trader).send("POST", ORDERS, limit_buy()).json()
    return str(document["id"])


def test_every_endpoint_and_method_of_the_api_is_in_the_matrix() -> None:
    offered = {
        (str(pattern.name), method)
        for route, pattern in ALL_URLS
        if route.startswith("api/")
        for method in _methods(pattern)
    }
    assert offered == MATRIX.keys()


def _methods(pattern: URLPattern) -> list[str]:
    view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
    if view is None:  # the broker's two addresses are plain functions
        return ["POST"] if pattern.name == "postback" else ["GET"]
    return [method for method in METHODS if hasattr(view, method.lower())]


@pytest.mark.parametrize(("name", "method"), MATRIX)
def test_each_role_gets_what_it_may(cast: Cast, name: str, method: str) -> None:
    found = {}
    for role in ROLES:
        client, order_id = client_of(cast.people.get(role)), place(cast)
        path, body = path_of(name, cast, order_id), None if method == "GET" else _body(name, cast)
        found[role] = client.send(method, path, body, idempotency_key=str(uuid4())).status_code
    assert found == MATRIX[name, method]


def test_a_deactivated_user_is_out_at_once(cast: Cast) -> None:
    client = client_of(cast.operator)
    order_id = place(cast)
    User.objects.filter(pk=cast.operator.pk).update(is_active=False)
    for (name, method), roles in MATRIX.items():
        if roles["nobody"] == 401:
            answer = client.send(method, path_of(name, cast, order_id), None if method == "GET" else _body(name, cast))
            assert answer.status_code == 401, (name, method)


def test_no_endpoint_shows_one_user_anything_of_another(cast: Cast) -> None:
    """Every GET of the API, asked by the outsider about DEMO's things, with and without naming them."""
    order_id = place(cast)
    fill(order_id, (10, "999.90"))
    marks = [cast.account.code, order_id, cast.account.ucc, *_ids_of(cast)]
    outsider = client_of(cast.outsider)
    named = f"?accountId={cast.account.code}"
    asked = 0
    for name, method in MATRIX:
        if method != "GET":
            continue
        for query in ("", named, f"?portfolioId={cast.portfolio.code}", "?symbol=SBIN"):
            answer = outsider.get(path_of(name, cast, order_id) + query)
            told = b"".join(answer.streaming_content) if answer.streaming else answer.content
            seen = [mark for mark in marks if mark in told.decode() and mark not in answer.request["PATH_INFO"]]
            assert not seen, (name, query)
            asked += 1
    assert asked > 60


def _ids_of(cast: Cast) -> list[str]:
    entries = CapitalEntry.objects.filter(capital_account=cast.portfolio).values_list("pk", flat=True)
    executions = Order.objects.get(account=cast.account).executions.values_list("pk", flat=True)
    return [str(pk) for pk in (*entries, *executions)]


def test_no_endpoint_lets_one_user_change_anything_of_another(cast: Cast) -> None:
    order_id = place(cast)
    before = Order.objects.values().get(pk=order_id)
    outsider = client_of(cast.outsider)
    for name, method in MATRIX:
        if method != "GET":
            outsider.send(method, path_of(name, cast, order_id), _body(name, cast), idempotency_key=str(uuid4()))
    assert Order.objects.values().get() == before
    assert not Amendment.objects.exists()
    assert CapitalEntry.objects.filter(capital_account=cast.portfolio).count() == 2  # the deposit and the reservation


@pytest.mark.parametrize("role", ["nobody", "trader", "outsider"])
def test_the_staff_pages_are_closed_to_everybody_else(cast: Cast, role: str) -> None:
    client = SessionClient()
    if role in cast.people:
        client.force_login(cast.people[role])
    pages = [route for route, _ in ALL_URLS if route.startswith("admin/") and "\\" not in route and "(?P" not in route]
    assert len(pages) > 100
    for route in pages:
        path = "/" + route.replace("<path:object_id>", "1").replace("<path:content_type_id>", "1").replace("<id>", "1")
        for answer in (client.get(path), client.post(path, {"reason": "because"})):
            assert answer.status_code in {301, 302, 403, 404, 405} or path in PUBLIC_STAFF_PAGES, path


#: The login page, logging out, and the translations that it loads.
PUBLIC_STAFF_PAGES = {"/admin/login/", "/admin/logout/", "/admin/jsi18n/"}


def test_what_is_open_to_all_outside_the_api_is_known() -> None:
    rest = {route for route, _ in ALL_URLS if not route.startswith(("api/", "admin/", "auth/"))}
    assert rest == {"health", "health/live", "health/ready", "metrics"}


def test_a_bearer_token_opens_no_staff_page(cast: Cast) -> None:
    assert client_of(cast.operator).get("/admin/").status_code == 302


def test_a_session_opens_no_endpoint_of_the_api(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.trader)
    assert client.get(ORDERS).status_code == 401
