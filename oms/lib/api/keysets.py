"""Logs that only grow, read by cursor.

A cursor is opaque to callers: it names the last row that they saw, so nothing is skipped or
repeated when rows are added meanwhile.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from rest_framework import serializers

from oms.lib.api.shapes import Shape
from oms.lib.api.wire import Document
from oms.lib.errors import FieldError, Invalid

M = TypeVar("M", bound=Model)


class KeysetQuery(Shape):
    """`cursor` is the `nextCursor` of the answer before."""

    cursor = serializers.CharField(required=False, max_length=200, help_text="`nextCursor` of the answer before.")
    limit = serializers.IntegerField(min_value=1, max_value=500, default=100)


class Keyset(Shape):
    """Describes a part of a log; a subclass adds `content`."""

    next_cursor = serializers.CharField(required=False, help_text="Absent at the end.")


def keyset_of(
    rows: "QuerySet[M]",
    query: dict[str, Any],
    *,
    key: str,
    descending: bool = False,
    document: Callable[[M], Document],
) -> Document:
    """The rows after the cursor, ordered by the unique column `key`; `nextCursor` while there are more.

    Raises Invalid for a cursor that this list did not hand out.
    """
    limit = query["limit"]
    if cursor := query.get("cursor"):
        try:
            rows = rows.filter(**{f"{key}__{'lt' if descending else 'gt'}": _decode(cursor)})
        except (ValueError, TypeError, ValidationError, binascii.Error):
            message = "Not a cursor of this list."
            raise Invalid(message, errors=(FieldError("/cursor", "invalid", message),)) from None
    found = list(rows.order_by(f"-{key}" if descending else key)[: limit + 1])
    answer: Document = {"content": [document(row) for row in found[:limit]]}
    if len(found) > limit:
        answer["nextCursor"] = _encode(getattr(found[limit - 1], key))
    return answer


def _encode(value: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def _decode(cursor: str) -> Any:
    value = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a cursor holds one key")
    return value
