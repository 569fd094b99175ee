"""A call of the API is spared what only pages need, and neither of them lacks what it needs."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from oms.tests.api_cast import Cast, as_trader, cast
from oms.ways import API

__all__ = ["as_trader", "cast"]

PAGES = ("/admin/", "/auth/login/", "/api/v1/broker/kite/callback", "/api/v1/auth/token", "/health")
CALLS = ("/api/v1/orders", "/api/v1/broker/kite/postback", "/api/v1/accounts", "/api/v1/schema")


@pytest.mark.parametrize("path", PAGES)
def test_pages_and_logins_go_the_whole_way(path: str) -> None:
    assert not API.match(path)


@pytest.mark.parametrize("path", CALLS)
def test_calls_go_the_short_way(path: str) -> None:
    assert API.match(path)


def _views(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _views(entry, path)
        elif isinstance(entry, URLPattern):
            yield path, entry.callback


def test_no_view_that_trusts_a_cookie_is_on_the_short_way() -> None:
    """Whoever is known by a token needs no proof against forged forms; what does need it must not be there."""
    short = [(path, view) for path, view in _views(get_resolver()) if API.match(path)]
    assert len(short) > 15
    assert [path for path, view in short if not getattr(view, "csrf_exempt", False)] == []


@pytest.mark.django_db
def test_an_answer_of_the_api_keeps_its_headers(as_trader: Any) -> None:
    answer = as_trader.get("/api/v1/accounts")
    assert answer.status_code == 200
    assert len(answer["X-Request-ID"]) == 36
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Content-Length"] == str(len(answer.content))
    assert answer["RateLimit"]
    assert not answer.cookies


@pytest.mark.django_db
def test_a_page_has_a_session_a_guard_against_forged_forms_and_the_same_headers() -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get("/auth/login/")
    assert page.status_code == 200
    assert settings.CSRF_COOKIE_NAME in page.cookies
    assert len(page["X-Request-ID"]) == 36
    assert page["X-Frame-Options"] == "DENY"
    assert client.post("/auth/login/", {"login": "x", "password": "y"}).status_code == 403


@pytest.mark.django_db
def test_a_staff_session_opens_no_door_of_the_api(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.trader)
    assert client.get("/api/v1/orders").status_code == 401
