"""Errors as `application/problem+json` (RFC 9457): one shape for whatever goes wrong, from a field to the database.

`errors` lists every wrong field at once, each with a JSON pointer into the request.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import redis
import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from oms.lib.api.wire import json_bytes
from oms.lib.errors import DomainError, FieldError, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 1
#: Lock waits, deadlocks, a server that restarts: nothing was done, and trying again may help.
AWAY = (OperationalError, InterfaceError, redis.RedisError)

logger = structlog.get_logger(__name__)


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    instance: str,
    title: str = "",
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
    **extensions: Any,
) -> HttpResponse:
    """A problem document; `extensions` are further members of it (e.g. `orderId`)."""
    body = problem_bytes(status, code=code, detail=detail, instance=instance, title=title, errors=errors, **extensions)
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE, headers=headers)


def problem_bytes(
    status: int,
    *,
    code: str,
    detail: str,
    instance: str,
    title: str = "",
    errors: Sequence[FieldError] = (),
    **extensions: Any,
) -> bytes:
    """The bytes of a problem document, for answers that are stored."""
    document: dict[str, Any] = {
        "type": f"urn:oms:problem:{code}",
        "title": title or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        **extensions,
    }
    if errors:
        document["errors"] = [{"pointer": e.pointer, "code": e.code, "message": e.message} for e in errors]
    return json_bytes(document)


def handle(exc: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Django REST framework's EXCEPTION_HANDLER. None for what nobody foresaw: that becomes a 500."""
    set_rollback()
    request = context["request"]
    path: str = request.path
    match exc:
        case DomainError():
            headers = {"Retry-After": str(RETRY_SECONDS)} if isinstance(exc, Unavailable) else None
            return problem(
                exc.status, code=exc.code, title=exc.title, detail=exc.detail, instance=path, errors=exc.errors,
                headers=headers,
            )  # fmt: skip
        case Http404():
            return problem(404, code="not_found", detail="No such thing, or none that you may see.", instance=path)
        case PermissionDenied():
            return problem(403, code="forbidden", detail="You may not do this.", instance=path)
        case RequestDataTooBig():
            return problem(413, code="body_too_large", detail="The body is too large.", instance=path)
        case exceptions.APIException():
            return _of_the_framework(exc, path)
    return unavailable(exc, path) if isinstance(exc, AWAY) else None


def unavailable(exc: Exception, path: str) -> HttpResponse:
    """503 for an error of AWAY."""
    logger.warning("dependency_unavailable", reason=type(exc).__name__)
    return problem(
        503, code="unavailable", detail="A part of the system is busy or away; try again.", instance=path,
        headers={"Retry-After": str(RETRY_SECONDS)},
    )  # fmt: skip


def _of_the_framework(exc: exceptions.APIException, path: str) -> HttpResponse:
    headers: dict[str, str] = {}
    if challenge := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(exc, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    if isinstance(exc, exceptions.ValidationError):
        errors = tuple(field_errors(exc.detail))
        return problem(400, code="invalid", detail=summary(errors), instance=path, errors=errors, headers=headers)
    first = next(field_errors(exc.detail), FieldError("", exc.default_code, str(exc.default_detail)))
    return problem(exc.status_code, code=first.code, detail=first.message, instance=path, headers=headers)


def summary(errors: Sequence[FieldError]) -> str:
    """One sentence for a person who does not read the list."""
    if len(errors) == 1:
        return f"{errors[0].pointer or 'The body'}: {errors[0].message}"
    return f"{len(errors)} fields are not valid: {', '.join(e.pointer or 'the body' for e in errors)}."


def field_errors(detail: Any, pointer: str = "") -> Iterator[FieldError]:
    """Flatten the framework's nested error details, escaping names as RFC 6901 says."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else "/" + str(name).replace("~", "~0").replace("/", "~1")
            yield from field_errors(inner, pointer + step)
    elif isinstance(detail, list):
        for inner in detail:
            yield from field_errors(inner, pointer)
    else:
        yield FieldError(pointer, getattr(detail, "code", "invalid"), str(detail))
