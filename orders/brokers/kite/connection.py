"""One bounded HTTP call to Kite, and what became of it.

Belongs here: headers, time limits, reading the envelope, and which transport failure leaves the
outcome open. What the routes are is `client`'s, what a refusal means is `failures`'.
"""

import json
import re
import weakref
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
import stamina

from orders.brokers.base import DefiniteRefusal, SessionExpired, Temporary, UnknownOutcome
from orders.brokers.kite.deadline import BoundedTransport, Deadline
from orders.brokers.kite.failures import failure_of

CONNECT_SECONDS = 2.0
CALL_SECONDS = 7.0
_AGAIN: dict[str, Any] = {"attempts": 3, "timeout": CALL_SECONDS, "wait_initial": 0.05, "wait_jitter": 0.1}
#: Kite registers IPv4 addresses only: a dual-stack host that left over IPv6 would be refused.
ANY_IPV4 = "0.0.0.0"  # noqa: S104  the address to leave from, not to listen on

Params = Mapping[str, str | Sequence[str]]
# Nothing of the request had left when one of these was raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_OURS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL)
# A read that took its whole time would take it again.
_WORTH_REPEATING = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


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
        self._deadline = Deadline()
        self._remembered: dict[str, tuple[bytes, Any]] = {}
        self._client = httpx.Client(
            base_url=root_url.rstrip("/"),
            headers={"X-Kite-Version": "3", "User-Agent": "oms"},
            timeout=httpx.Timeout(call_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            transport=BoundedTransport(self._deadline, local_address=egress_address or ANY_IPV4),
            trust_env=False,
            follow_redirects=False,
        )
        # A client is dropped when its token is replaced, perhaps while another thread still uses it:
        # the sockets go when the last user does.
        weakref.finalize(self, self._client.close)

    def read(self, route: str, params: Params | None = None, *, remember: bool = False) -> Any:
        """The `data` of a GET, numbers exact. Raises BrokerError; UnknownOutcome means that the read failed.

        With `remember`, an answer that is byte for byte the last one of the route is the very same object.
        """
        response = self._get(route, params)
        if not remember:
            return self._data(response, "GET")
        content, data = self._remembered.get(route, (None, None))
        if content != response.content or not response.is_success:
            data = self._data(response, "GET")
            self._remembered[route] = response.content, data
        return data

    def read_text(self, route: str) -> str:
        """The text of a GET that answers with CSV. Raises BrokerError."""
        response = self._get(route, None)
        if "csv" not in response.headers.get("content-type", ""):
            self._data(response, "GET")
            raise UnknownOutcome(f"The broker answered {route} with something that is not CSV")
        return response.text

    def write(
        self, method: str, route: str, *, form: Mapping[str, str] | None = None, params: Params | None = None,
        anonymous: bool = False,
    ) -> Any:  # fmt: skip
        """The `data` of a call that changes something. It is made at most once. Raises BrokerError."""
        try:
            with self._deadline.within(self._call_seconds):
                response = self._client.request(
                    method, self._route(route), data=form, params=params, headers={} if anonymous else self._token()
                )
        except httpx.HTTPError as error:
            raise _transport_failure(error) from None
        return self._data(response, method)

    def _get(self, route: str, params: Params | None) -> httpx.Response:
        headers = self._token()
        try:
            with self._deadline.within(self._call_seconds):
                for attempt in stamina.retry_context(on=_WORTH_REPEATING, **_AGAIN):
                    with attempt:
                        return self._client.get(self._route(route), params=params, headers=headers)
        except httpx.HTTPError as error:
            raise _transport_failure(error) from None
        raise AssertionError("a retry either returns or raises")

    def _route(self, route: str) -> str:
        # The sandbox prefixes every route but the instrument dump.
        return route if route.startswith("/instruments") else self._prefix + route

    def _token(self) -> dict[str, str]:
        if not self._access_token:
            raise SessionExpired("Nobody has logged in at the broker yet", code="NoSession")
        return {"Authorization": f"token {self._api_key}:{self._access_token}"}

    def _data(self, response: httpx.Response, method: str) -> Any:
        body = _parsed(response.content)
        failure = failure_of(response.status_code, body, method=method, headers=response.headers)
        if failure is not None:
            raise failure
        if "data" not in body:
            raise UnknownOutcome("The broker's answer has no data", raw=body)
        return body["data"]


def _parsed(content: bytes) -> Any:
    """The JSON of an answer with every fraction as a Decimal of its text; None when it is not JSON."""
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_refuse_constant)
    except ValueError:
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _transport_failure(error: httpx.HTTPError | httpx.InvalidURL) -> Exception:
    words = re.sub(r"\s+", " ", str(error)) or type(error).__name__
    if isinstance(error, _NOT_SENT):
        return Temporary(f"No connection to the broker: {words}", code=type(error).__name__)
    if isinstance(error, _OURS):
        return DefiniteRefusal(f"The broker account is not set up rightly: {words}", code=type(error).__name__)
    return UnknownOutcome(f"The broker's answer did not arrive: {words}", code=type(error).__name__)
