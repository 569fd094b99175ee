"""Kite's envelopes, headers and request bodies.

Belongs here: how things are written and read on the wire. What they mean is none of its business.
"""

from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .errors import InputError, KiteError

MAX_BODY = 1_000_000
JSON = "application/json"


def success(data: Any) -> Response:
    """The envelope of an answer. `data` as bytes is JSON already."""
    body = data if isinstance(data, bytes) else orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)
    return Response(b'{"status":"success","data":' + body + b"}", media_type=JSON)


def failure(error: KiteError) -> Response:
    """The envelope of a refusal."""
    body = {"status": "error", "message": error.message, "data": None, "error_type": error.error_type}
    return Response(orjson.dumps(body), error.code, media_type=JSON)


async def read_form(request: Request) -> dict[str, str]:
    """An urlencoded body. Raises InputError for anything else."""
    try:
        text = (await _body(request)).decode()
    except UnicodeDecodeError as error:
        raise InputError("The body should be an urlencoded form in UTF-8.") from error
    return dict(parse_qsl(text, keep_blank_values=True))


async def read_json(request: Request) -> Any:
    """A JSON body. Raises InputError for anything else."""
    try:
        return orjson.loads(await _body(request) or b"{}")
    except orjson.JSONDecodeError as error:
        raise InputError("The body should be JSON.") from error


async def _body(request: Request) -> bytes:
    if int(request.headers.get("content-length", "0")) > MAX_BODY:
        raise InputError("The body is too large.")
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise InputError("The request was cut off.") from error
