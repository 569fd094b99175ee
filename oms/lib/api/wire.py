"""JSON with exact decimals, in both directions, as bytes. What the documents mean is decided elsewhere.

A number never passes through a binary float: it is read into a Decimal and written as its exact text.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson
from django.http import HttpResponse

from oms.lib.errors import FieldError, Invalid
from oms.lib.money import decimal_text

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
#: Stands for a number that no Decimal can hold; every field refuses what is not finite.
_OVERFLOW = Decimal("Infinity")


class _RefusedError(ValueError):
    """Well-formed for Python's reader, but not for ours."""


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _OVERFLOW


def _no_constant(name: str) -> NoReturn:
    raise _RefusedError(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _RefusedError(f"the name {twice!r} occurs twice in one object")
    return document


_decoder = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=_no_constant, object_pairs_hook=_object
)


def parse_json(body: bytes) -> Any:
    """The value of a JSON text (RFC 8259, UTF-8); every number is a Decimal.

    Raises Invalid for malformed text (with its position), repeated names, NaN and Infinity.
    """
    try:
        return _decoder.decode(body.decode())
    except UnicodeDecodeError as error:
        raise _malformed(f"The body is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise _malformed(
            f"The body is not valid JSON: {error.msg}, line {error.lineno} column {error.colno}."
        ) from None
    except _RefusedError as error:
        raise _malformed(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise _malformed("The body is nested too deeply.") from None


def _malformed(message: str) -> Invalid:
    return Invalid(message, code="malformed_json", errors=(FieldError("", "malformed_json", message),))


def _exact(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    raise TypeError(f"{type(value).__name__} cannot be sent")


#: A JSON object to be sent, by the names on the wire. Values may be Decimals, instants, UUIDs, and lists and objects.
Document = dict[str, object]


def json_bytes(document: Any) -> bytes:
    """`document` as JSON: Decimals as numbers with their exact text, instants as RFC 3339 in UTC."""
    return orjson.dumps(document, default=_exact, option=_OPTIONS)


def json_response(document: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """An `application/json` answer."""
    return HttpResponse(json_bytes(document), status=status, content_type="application/json", headers=headers)
