"""What every Kite route does around its own work: session, rate limit, envelope.

Belongs here: the wrapper. Routes give it a function of services, session and request that returns
the envelope's data.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import wire
from ..errors import KiteError
from ..services import Services
from ..session import Session

Work = Callable[[Services, Session, Request], Awaitable[Any]]
Endpoint = Callable[[Request], Awaitable[Response]]


def services_of(request: Request) -> Services:
    """The parts of the exchange, from the application."""
    services: Services = request.app.state.services
    return services


def kite(work: Work, limit: str = "other") -> Endpoint:
    """A route for logged-in clients. `limit`: other, quote, or own when `work` counts itself."""

    async def endpoint(request: Request) -> Response:
        services = services_of(request)
        try:
            session = services.sessions.authenticate(request.headers.get("authorization"))
            if limit == "other":
                services.limits.count_other(session.api_key)
            elif limit == "quote":
                services.limits.count_quote(session.api_key)
            data = await work(services, session, request)
        except KiteError as error:
            return wire.failure(error)
        return data if isinstance(data, Response) else wire.success(data)

    return endpoint


def public(work: Callable[[Services, Request], Awaitable[Any]]) -> Endpoint:
    """A route that needs no session."""

    async def endpoint(request: Request) -> Response:
        try:
            data = await work(services_of(request), request)
        except KiteError as error:
            return wire.failure(error)
        return data if isinstance(data, Response) else wire.success(data)

    return endpoint
