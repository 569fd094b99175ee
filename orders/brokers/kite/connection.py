"""One bounded HTTP call to Kite, and what became of it.

Belongs here: headers, time limits, reading the envelope, and which transport failure leaves the
outcome open. What the routes are is `client`'s, what a refusal means is `failures`'.
"""

import json
import re
import time
import weakref
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import stamina

from orders.brokers.base import DefiniteRefusal, SessionExpired, Temporary, UnknownOutcome
from orders.brokers.kite.calls import Answer, Caller, Dropped, NotConnected, NotSetUp
from orders.brokers.kite.failures import failure_of

CALL_SECONDS = 7.0
_AGAIN: dict[str, Any] = {"attempts": 3, "timeout": CALL_SECONDS, "wait_initial": 0.05, "wait_jitter": 0.1}
#: Kite registers IPv4 addresses only: a dual-stack host that left over IPv6 would be refused.
ANY_IPV4 = "0.0.0.0"  # noqa: S104  the address to leave from, not to listen on
ALWAYS = {"X-Kite-Version": "3", "User-Agent": "oms", "Accept": "*/*"}

Params = Mapping[str, str | Sequence[str]]


class Connection:
    """Calls to one broker root with one token. Not to be used across a fork."""

    def __init__(
        self,
        root_url: str,
        *,
        route_prefix: str = "",
        api_key: str,
        access_token: str,
        egress_address: str | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._prefix = route_prefix.rstrip("/")
        self._api_key, self._access_token = api_key, access_token
        self._call_seconds = call_seconds
        self._remembered: dict[str, tuple[bytes, Any]] = {}
        self._caller = Caller(root_url, local_address=egress_address or ANY_IPV4)
        # A client is dropped when its token is replaced, perhaps while another thread still uses it:
        # the sockets go when the last user does.
        weakref.finalize(self, self._caller.close)

    def read(self, route: str, params: Params | None = None, *, remember: bool = False) -> Any:
        """The `data` of a GET, numbers exact. Raises BrokerError; UnknownOutcome means that the read failed.

        With `remember`, an answer that is byte for byte the last one of the route is the very same object.
        """
        response = self._get(route, params)
        if not remember:
            return self._data(response, "GET")
        content, data = self._remembered.get(route, (None, None))
        if content != response.content or response.status != 200:
            data = self._data(response, "GET")
            self._remembered[route] = response.content, data
        return data

    def read_text(self, route: str) -> str:
        """The text of a GET that answers with CSV. Raises BrokerError."""
        response = self._get(route, None)
        if "csv" not in response.headers.get("content-type", ""):
            self._data(response, "GET")
            raise UnknownOutcome(f"The broker answered {route} with something that is not CSV")
        return response.content.decode("utf-8", "replace")

    def write(
        self, method: str, route: str, *, form: Mapping[str, str] | None = None, params: Params | None = None,
        anonymous: bool = False,
    ) -> Any:  # fmt: skip
        """The `data` of a call that changes something. It is made at most once. Raises BrokerError."""
        headers = {} if anonymous else self._token()
        body = b""
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        try:
            answer = self._call(method, route, params, headers, body, ends_at=self._ends_at())
        except OSError as error:
            raise _transport_failure(error) from None
        return self._data(answer, method)

    def _get(self, route: str, params: Params | None) -> Answer:
        headers, ends_at = self._token(), self._ends_at()
        try:
            # A read that took its whole time would take it again.
            for attempt in stamina.retry_context(on=(NotConnected, Dropped), **_AGAIN):
                with attempt:
                    return self._call("GET", route, params, headers, ends_at=ends_at)
        except OSError as error:
            raise _transport_failure(error) from None
        raise AssertionError("a retry either returns or raises")

    def _call(
        self,
        method: str,
        route: str,
        params: Params | None,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        ends_at: float,
    ) -> Answer:
        target = self._route(route) + (f"?{urlencode(params, doseq=True)}" if params else "")
        try:
            return self._caller.call(method, target, headers={**ALWAYS, **headers}, body=body, ends_at=ends_at)
        except NotSetUp as error:
            message = f"The broker account is not set up rightly: {error}"
            raise DefiniteRefusal(message, code=type(error).__name__) from None

    def _ends_at(self) -> float:
        return time.monotonic() + self._call_seconds

    def _route(self, route: str) -> str:
        # The sandbox prefixes every route but the instrument dump.
        return route if route.startswith("/instruments") else self._prefix + route

    def _token(self) -> dict[str, str]:
        if not self._access_token:
            raise SessionExpired("Nobody has logged in at the broker yet", code="NoSession")
        return {"Authorization": f"token {self._api_key}:{self._access_token}"}

    def _data(self, response: Answer, method: str) -> Any:
        body = _parsed(response.content)
        failure = failure_of(response.status, body, method=method, headers=response.headers)
        if failure is not None:
            raise failure
        if "data" not in body:
            raise UnknownOutcome("The broker's answer has no data", raw=body)
        return body["data"]


def _parsed(content: bytes) -> Any:
    """The JSON of an answer with every fraction as a Decimal of its text; None when it is not JSON."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError):  # a number out of bounds, or brackets without end
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _transport_failure(error: OSError) -> Exception:
    words = re.sub(r"\s+", " ", str(error)) or type(error).__name__
    if isinstance(error, NotConnected):
        return Temporary(f"No connection to the broker: {words}", code=type(error).__name__)
    return UnknownOutcome(f"The broker's answer did not arrive: {words}", code=type(error).__name__)
