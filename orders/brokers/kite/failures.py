"""What a refusal by Kite means: the table from its answers to the four ways in which a broker can fail.

Belongs here: reading an answer that is not a success. What was never answered is `connection`'s.
Sources: Kite's error pages and the messages that users report; the rule for each type is in
docs/life-of-an-order.md.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from orders.brokers.base import BrokerError, DefiniteRefusal, OrderBusy, SessionExpired, Temporary, UnknownOutcome

SERVER_ERROR = 500
TOO_MANY_REQUESTS = 429
NEEDS_DEPOSITORY_AUTHORISATION = 428
READ, MODIFY = "GET", "PUT"
#: Kite counts by the calendar second and says nothing of when to come back.
DEFAULT_RETRY_SECONDS = 1.0
#: "Being processed" settles within this, or the order has ended by then.
BUSY_RETRY_SECONDS = 0.5

REFUSALS = frozenset({"InputException", "MarginException", "PermissionException", "HoldingException", "UserException"})

# The same fault arrives under several error types; the words are what is stable.
_ADDRESS = re.compile(r"^IP \(.*\) is not allowed|No IPs configured", re.IGNORECASE)
_MODIFICATION_CAP = re.compile(r"maximum allowed order modifications exceeded", re.IGNORECASE)
_DAILY_CAP = re.compile(r"maximum allowed order requests? exceeded", re.IGNORECASE)
_TOO_MANY = re.compile(r"too many requests", re.IGNORECASE)
_BUSY = re.compile(r"being processed\. try later", re.IGNORECASE)
_DEAD_TOKEN = re.compile(r"(invalid|incorrect) `api_key` or `access_token`", re.IGNORECASE)


class TooManyRequests(Temporary):
    """Kite counted more calls than it allows, perhaps others' calls from the same account; all must slow down."""


def failure_of(status: int, body: Any, *, method: str, headers: Mapping[str, str] | None = None) -> BrokerError | None:
    """The failure that an answer stands for, or None when it is a success.

    `body` is the parsed JSON, or None when the answer was not JSON (a gateway's HTML page, say); `method`
    is the HTTP method of the call. An ambiguous answer to a write, hence any 5xx whatever it says, is an
    UnknownOutcome; a read changes nothing, so there a clear 4xx is a refusal whatever its type.
    """
    if not isinstance(body, dict):
        return _unreadable(status, headers)
    if status < SERVER_ERROR and body.get("status") != "error" and not body.get("error_type"):
        return None
    code = str(body.get("error_type") or "")
    message = str(body.get("message") or f"HTTP {status} without a message")
    raw = {name: body[name] for name in ("status", "error_type", "message", "data") if name in body}
    if status >= SERVER_ERROR:
        return _broken(message, code, raw, method, headers)
    return _by_words(status, message, code, raw, headers) or _by_type(status, message, code, raw, method)


def _broken(
    message: str, code: str, raw: dict[str, Any], method: str, headers: Mapping[str, str] | None
) -> BrokerError:
    """A server that fails may say anything. Its words count only where believing them can double nothing."""
    if method == READ and _TOO_MANY.search(message):
        return TooManyRequests(message, retry_after=retry_after(headers), code=code, raw=raw)
    if method == MODIFY and _MODIFICATION_CAP.search(message):
        return DefiniteRefusal(message, code=code, raw=raw)  # Kite reports this one under a 503 as well
    return UnknownOutcome(message, code=code, raw=raw)


def _unreadable(status: int, headers: Mapping[str, str] | None) -> BrokerError:
    if status == TOO_MANY_REQUESTS:
        return TooManyRequests("Too many requests", retry_after=retry_after(headers), code="429")
    return UnknownOutcome(f"The broker answered HTTP {status} with something that is not JSON", code=str(status))


def _by_words(
    status: int, message: str, code: str, raw: dict[str, Any], headers: Mapping[str, str] | None
) -> BrokerError | None:
    if _ADDRESS.search(message):
        hint = "The broker does not accept orders from this machine's address; register it in the developer console"
        return DefiniteRefusal(f"{hint}. Its words: {message}", code=code, raw=raw)
    if _MODIFICATION_CAP.search(message) or _DAILY_CAP.search(message):
        return DefiniteRefusal(message, code=code, raw=raw)
    if status == TOO_MANY_REQUESTS or _TOO_MANY.search(message):
        return TooManyRequests(message, retry_after=retry_after(headers), code=code, raw=raw)
    if _BUSY.search(message):
        return OrderBusy(message, retry_after=BUSY_RETRY_SECONDS, code=code, raw=raw)
    if _DEAD_TOKEN.search(message):
        return SessionExpired(message, code=code, raw=raw)
    return None


def _by_type(status: int, message: str, code: str, raw: dict[str, Any], method: str) -> BrokerError:
    if code == "TokenException":
        return SessionExpired(message, code=code, raw=raw)
    if code in REFUSALS or status == NEEDS_DEPOSITORY_AUTHORISATION or method == READ:
        return DefiniteRefusal(message, code=code, raw=raw)
    return UnknownOutcome(message, code=code, raw=raw)


def retry_after(headers: Mapping[str, str] | None) -> float:
    """Seconds until the call may be made again: the `Retry-After` header (seconds or a date), else one.

    They are as the server says, infinite for all we know: `Limiter.back_off` bounds them.
    """
    text = (headers or {}).get("retry-after", "")
    if text.isascii() and text.isdigit():
        return max(float(text), DEFAULT_RETRY_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return DEFAULT_RETRY_SECONDS
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), DEFAULT_RETRY_SECONDS)
