"""What every Kite route does around its own work: session, rate limit, envelope.

Belongs here: the wrapper. Routes give it a function of a call that returns the envelope's data.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from orders.brokers.paper import wire
from orders.brokers.paper.errors import KiteError
from orders.brokers.paper.services import Services
from orders.brokers.paper.session import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """A request from anybody."""

    services: Services
    request: Request


@dataclass(frozen=True, slots=True)
class Call(Visit):
    """A request from a logged-in client."""

    session: Session


Endpoint = Callable[[Request], Awaitable[Response]]


def services_of(request: Request) -> Services:
    """The parts of the exchange, from the application."""
    services: Services = request.app.state.services
    return services


def kite(work: Callable[[Call], Awaitable[Any]], limit: str = "other") -> Endpoint:
    """A route for logged-in clients. `limit`: other, quote, or own when `work` counts itself."""

    async def logged_in(visit: Visit) -> Any:
        session = visit.services.sessions.authenticate(visit.request.headers.get("authorization"))
        if limit == "other":
            visit.services.limits.count_other(session.api_key)
        elif limit == "quote":
            visit.services.limits.count_quote(session.api_key)
        return await work(Call(visit.services, visit.request, session))

    return public(logged_in)


def public(work: Callable[[Visit], Awaitable[Any]]) -> Endpoint:
    """A route that needs no session."""

    async def endpoint(request: Request) -> Response:
        try:
            return wire.success(await work(Visit(services_of(request), request)))
        except KiteError as error:
            return wire.failure(error)

    return endpoint
