"""Entity tags: a thing's version as ETag, and the version that a caller expects to change (RFC 9110)."""

import re

from django.http import HttpRequest

from oms.lib.errors import FieldError, Invalid, Stale

_TAG = re.compile(r'"(\d{1,9})"', re.ASCII)


def etag(version: int) -> str:
    """The strong entity tag of a version."""
    return f'"{version}"'


def expected_version(request: HttpRequest) -> int | None:
    """The version that `If-Match` names; None when it names none (absent or `*`).

    Raises Stale for a weak tag, which never matches strongly, and Invalid for anything that is no single tag.
    """
    header = request.headers.get("If-Match", "").strip()
    if header in {"", "*"}:
        return None
    if header.startswith("W/"):
        raise Stale("If-Match needs a strong entity tag, as ETag gives it; a weak one never matches.")
    match = _TAG.fullmatch(header)
    if match is None:
        message = 'If-Match must be one entity tag, e.g. "3", or *.'
        raise Invalid(message, errors=(FieldError("", "invalid_if_match", message),))
    return int(match[1])


def is_unchanged(request: HttpRequest, version: int) -> bool:
    """Whether `If-None-Match` says that the caller has this version already."""
    header = request.headers.get("If-None-Match", "")
    return header.strip() == "*" or etag(version) in {tag.strip().removeprefix("W/") for tag in header.split(",")}
