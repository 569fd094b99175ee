"""The ASGI application of the stream process: it answers what a WSGI worker could not hold open.

Health only, until the event streams are built; the API is not served here (an ordinary request costs
three times the CPU under ASGI).
"""

from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


async def live(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    return ProblemResponse(
        {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": error.detail},
        status_code=status.value,
        headers=error.headers,
    )


application = Starlette(
    routes=[Route("/health/live", live)],
    exception_handlers={HTTPException: problem},
)
