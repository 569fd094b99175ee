"""The Idempotency-Key header (or a client's own order id) of a request, as a key to store its answer under."""

import hashlib
import re
from collections.abc import Callable
from typing import TypeVar

from django.http import HttpResponse
from rest_framework.request import Request

from compliance.idempotency import Idempotent, SentKey, StoredAnswer
from oms.lib.api.problems import MEDIA_TYPE
from oms.lib.errors import DomainError, FieldError, Invalid

T = TypeVar("T")
_KEY = re.compile(r"[\x21-\x7e]{1,80}", re.ASCII)
HEADER = "Idempotency-Key"


class KeyMissing(DomainError):
    """This request must not be carried out twice by accident, so it needs a key."""

    status = 428
    code = "idempotency_key_required"
    title = "An Idempotency-Key is required"


def key_of(request: Request) -> str | None:
    """The header's value. Raises Invalid for one that is no printable ASCII text of at most 80 characters."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        message = f"{HEADER} must be 1 to 80 printable ASCII characters without spaces."
        code = "invalid_idempotency_key"
        raise Invalid(message, code=code, errors=(FieldError("", code, message),))
    return key


def required_key(request: Request) -> str:
    """The header's value. Raises KeyMissing (428) when there is none."""
    key = key_of(request)
    if key is None:
        raise KeyMissing(f"Send {HEADER} with a value that you use for this request only.")
    return key


def idempotent(
    request: Request, respond: Callable[[T], StoredAnswer], *, own_reference: str = ""
) -> Idempotent[T] | None:
    """What the service needs to answer a repeat with the first answer; None when the request names no key.

    `own_reference` is a key that the body carries. Method and path count as part of the request.
    """
    key = key_of(request)
    name = f"key:{key}" if key is not None else own_reference and f"ref:{own_reference}"
    if not name:
        return None
    seen = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    seen.update(request._request.body)
    return Idempotent(SentKey(f"user:{request.user.pk}", name, seen.digest()), respond)


def replayed(stored: StoredAnswer) -> HttpResponse:
    """A stored answer, marked as such."""
    kind = MEDIA_TYPE if stored.status >= 400 else "application/json"
    return HttpResponse(
        stored.body, status=stored.status, content_type=kind, headers={"Idempotent-Replayed": "true"}
    )  # fmt: skip
