"""The door every Kite request goes through, where requests go wrong on purpose.

Belongs here: which class a route is of, and the faults that spoil a request or its answer.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import wire
from .errors import KiteError, NetworkError
from .faults import REQUEST_KINDS, Fault, Faults
from .limits import TOO_MANY
from .session import Sessions

TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr></body></html>"
WRITES = {"POST": "place", "PUT": "modify", "DELETE": "cancel"}
FIRST_SEGMENT = {
    "trades": "trades",
    "portfolio": "portfolio",
    "quote": "quotes",
    "instruments": "instruments",
    "margins": "calculators",
    "charges": "calculators",
    "session": "session",
    "connect": "session",
}


def classify(method: str, path: str) -> str:
    """The class of a route, as faults name it."""
    parts = path.strip("/").split("/")
    if parts[0] == "orders":
        if method in WRITES:
            return WRITES[method]
        if len(parts) == 1:
            return "book"
        return "trades" if parts[-1] == "trades" else "order"
    if parts[:2] == ["user", "margins"]:
        return "funds"
    return FIRST_SEGMENT.get(parts[0], "other")


class Gate:
    """ASGI middleware around the Kite routes; control routes and sockets pass untouched."""

    def __init__(self, app: ASGIApp, faults: Faults, sessions: Sessions) -> None:
        self._app, self._faults, self._sessions = app, faults, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or spoil it."""
        if scope["type"] != "http" or scope["path"].startswith("/control"):
            await self._app(scope, receive, send)
            return
        struck = self._faults.draw(REQUEST_KINDS, classify(scope["method"], scope["path"]))
        if not struck:
            await self._app(scope, receive, send)
            return
        # A client that gives up while we are slow has sent its request all the same.
        await self._spoil(struck, scope, await _received(receive), send)

    async def _spoil(self, struck: list[Fault], scope: Scope, receive: Receive, send: Send) -> None:
        for fault in struck:
            if fault.kind == "delay" and not fault.taken:
                await asyncio.sleep(fault.seconds)
            elif fault.kind == "token_expiry":
                self._expire(scope)
        late = sum(fault.seconds for fault in struck if fault.kind == "delay" and fault.taken)
        spoiler = next((fault for fault in struck if fault.kind not in ("delay", "token_expiry")), None)
        answer: list[Message] = []
        if spoiler is None or spoiler.taken or spoiler.kind in ("accept_and_drop", "timed_out"):
            await self._app(scope, receive, _collector(answer))
        await asyncio.sleep(late)
        if spoiler is None:
            for message in answer:
                await send(message)
        elif spoiler.kind in ("drop", "accept_and_drop"):
            await _hang_up(scope, receive)
        elif spoiler.kind == "html_error":
            page = PAGE.format(_line(spoiler.status))
            await Response(page, spoiler.status, media_type="text/html")(scope, receive, send)
        else:
            await wire.failure(_error(spoiler))(scope, receive, send)

    def _expire(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        try:
            session = self._sessions.authenticate(headers.get(b"authorization", b"").decode())
        except KiteError:
            return
        self._sessions.end(session.access_token)


def _line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Error"


def _error(fault: Fault) -> KiteError:
    if fault.kind == "http_429":
        return NetworkError(TOO_MANY, 429)
    if fault.kind == "timed_out":
        return NetworkError(TIMED_OUT, 504)
    if fault.status in (503, 504):
        return NetworkError("Gateway timed out.", fault.status)
    return KiteError("Something unexpected happened.", fault.status)


def _collector(messages: list[Message]) -> Send:
    """Where an answer goes that is late, or that nobody gets."""

    async def collect(message: Message) -> None:
        messages.append(message)

    return collect


async def _received(receive: Receive) -> Receive:
    """Read the whole request now, and give it out when it is asked for."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return replay


async def _hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection without a byte of an answer."""
    transport: Any = scope["state"]["transport"]
    transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
