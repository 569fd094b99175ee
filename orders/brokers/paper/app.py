"""The ASGI application: Kite's routes, the control routes, the ticker, behind the gate.

Belongs here: assembly and the answers to what no route matches. Work is done in `api`.
"""

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from . import wire
from .api import calculators, control, market, orders, portfolio, sessions
from .errors import KiteError
from .gate import Gate
from .services import Services

logger = logging.getLogger(__name__)
MESSAGES = {404: "Route not found", 405: "Method not allowed"}


async def _http_error(_: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    return wire.failure(KiteError(MESSAGES.get(code, "Invalid request"), code))


async def _unexpected(_: Request, __: Exception) -> Response:
    """The boundary of the process: the client gets Kite's envelope, the log gets the trace."""
    return wire.failure(KiteError("Something unexpected happened. Please try again."))


def create_app(services: Services) -> ASGIApp:
    """The application of one exchange."""
    routes = [
        *sessions.ROUTES,
        *portfolio.ROUTES,
        *orders.ROUTES,
        *market.ROUTES,
        *calculators.ROUTES,
        *control.ROUTES,
        WebSocketRoute("/", services.ticker.serve),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={404: _http_error, 405: _http_error, 500: _unexpected, HTTPException: _http_error},
    )
    app.state.services = services
    return Gate(app, services.faults, services.sessions)
