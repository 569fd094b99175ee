"""Where the ways of requests part: pages of the staff site pass all middleware, calls of the API only the first few.

A call carries its bearer token: it has no browser session, no cookie to forge, no messages and no second factor.
What both need (metrics, the request's id in the log, hosts, security headers) comes before this in the settings.
"""

import re
from collections.abc import Callable
from typing import Any

from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase

#: Logging in counts failures, and a broker's login page sends a member of staff back to us: these go the whole way.
API = re.compile(r"/api/(?!v1/auth/|v1/broker/[^/]+/callback)")


class ApiTurnsOff:
    """Middleware: from here a call of the API goes straight to its view, anything else on through the rest."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._whole_way = get_response
        self._to_the_view = _Views()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if API.match(request.path_info):
            return self._to_the_view.get_response(request)
        return self._whole_way(request)


class _Views(BaseHandler):
    """Django's own way from a request to its view, without any middleware."""

    def __init__(self) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        to_the_view = self._get_response  # type: ignore[attr-defined]  # the stubs know of the public part only
        self._middleware_chain = convert_exception_to_response(to_the_view)
