"""The table from Kite's refusals to the four ways of failing, row by row."""

import pytest

from orders.brokers.base import DefiniteRefusal, OrderBusy, SessionExpired, Temporary, UnknownOutcome
from orders.brokers.kite.failures import TooManyRequests, failure_of, retry_after

REFUSED, EXPIRED, LATER, UNKNOWN = DefiniteRefusal, SessionExpired, Temporary, UnknownOutcome
BUSY = OrderBusy

WRITES = [
    (400, "InputException", "Missing or empty field `quantity`", REFUSED),
    (400, "MarginException", "Insufficient funds. Required margin is 2 but available margin is 1.", REFUSED),
    (400, "HoldingException", "Not enough holdings", REFUSED),
    (428, "HoldingException", "10 quantity needs authorisation at depository.", REFUSED),
    (428, "GeneralException", "10 quantity needs authorisation at depository.", REFUSED),
    (403, "UserException", "Your account is blocked", REFUSED),
    (403, "PermissionException", "Insufficient permission for that call.", REFUSED),
    (403, "TokenException", "Incorrect `api_key` or `access_token`.", EXPIRED),
    (400, "InputException", "Invalid `api_key` or `access_token`.", EXPIRED),
    (429, "NetworkException", "Too many requests", LATER),
    (400, "NetworkException", "Too many requests", LATER),
    (400, "InputException", "Order cannot be cancelled as it is being processed. Try later.", BUSY),
    (400, "InputException", "Order cannot be modified as it is being processed. Try later.", BUSY),
    (400, "NetworkException", "Maximum allowed order modifications exceeded.", REFUSED),
    (429, "NetworkException", "Maximum allowed order request exceeded", REFUSED),
    (
        400,
        "InputException",
        "IP (2001:db8::1) is not allowed to place orders for this app. Update allowed IPs.",
        REFUSED,
    ),
    (403, "PermissionException", "No IPs configured for this app. Add allowed IPs on the console.", REFUSED),
    (400, "OrderException", "Order request timed out. Please check the order book.", UNKNOWN),
    (400, "DataException", "Unreadable", UNKNOWN),
    (400, "GeneralException", "Something went wrong", UNKNOWN),
    (400, "NetworkException", "Gateway", UNKNOWN),
    (400, "BrandNewException", "Never seen", UNKNOWN),
    (500, "InputException", "An input error that a broken server reports", UNKNOWN),
    (500, "TokenException", "Incorrect `api_key` or `access_token`.", UNKNOWN),
    (502, "DataException", "OMS is down", UNKNOWN),
    (503, "NetworkException", "OMS is unreachable", UNKNOWN),
    (503, "NetworkException", "Maximum allowed order modifications exceeded.", UNKNOWN),
    (502, "NetworkException", "Maximum allowed order requests exceeded", UNKNOWN),
    (500, "GeneralException", "IP (1.2.3.4) is not allowed to place orders for this app.", UNKNOWN),
    (500, "InputException", "Order cannot be cancelled as it is being processed. Try later.", UNKNOWN),
    (200, "GeneralException", "An error under HTTP 200", UNKNOWN),
    (200, "InputException", "An error under HTTP 200", REFUSED),
]


@pytest.mark.parametrize(("status", "error_type", "message", "expected"), WRITES)
def test_every_refusal_of_a_write(status, error_type, message, expected):
    body = {"status": "error", "error_type": error_type, "message": message, "data": None}
    failure = failure_of(status, body, method="POST")
    kind = TooManyRequests if "Too many" in message else expected
    assert type(failure) is kind
    assert failure.code == error_type
    assert message in failure.message
    assert failure.raw["message"] == message


@pytest.mark.parametrize(
    ("method", "message", "expected"),
    [
        ("POST", "Too many requests", UNKNOWN),
        ("DELETE", "Too many requests", UNKNOWN),
        ("PUT", "Too many requests", UNKNOWN),
        ("GET", "Too many requests", TooManyRequests),
        ("PUT", "Maximum allowed order modifications exceeded.", REFUSED),
        ("POST", "Maximum allowed order modifications exceeded.", UNKNOWN),
        ("GET", "Maximum allowed order requests exceeded", UNKNOWN),
    ],
)
def test_what_a_failing_server_says_counts_only_where_it_can_double_nothing(method, message, expected):
    body = {"status": "error", "error_type": "NetworkException", "message": message}
    assert type(failure_of(503, body, method=method)) is expected


@pytest.mark.parametrize(
    ("status", "error_type", "expected"),
    [(404, "GeneralException", REFUSED), (400, "OrderException", REFUSED), (503, "NetworkException", UNKNOWN)],
)
def test_a_clear_refusal_of_a_read_is_definite(status, error_type, expected):
    body = {"status": "error", "error_type": error_type, "message": "Couldn't find that `order_id`."}
    assert type(failure_of(status, body, method="GET")) is expected


@pytest.mark.parametrize("status", [200, 302, 400, 403, 502, 504])
def test_what_is_not_json_leaves_the_outcome_open(status):
    assert type(failure_of(status, None, method="POST")) is UNKNOWN


def test_a_gateways_429_without_json_says_when_to_come_back():
    failure = failure_of(429, None, method="POST", headers={"retry-after": "7"})
    assert isinstance(failure, TooManyRequests)
    assert failure.retry_after == 7


@pytest.mark.parametrize(
    ("status", "body", "is_failure"),
    [
        (200, {"status": "success", "data": {}}, False),
        (200, {"data": {}}, False),
        (500, {"status": "success", "data": {"order_id": "1"}}, True),
        (200, [1], True),
    ],
)
def test_what_counts_as_success(status, body, is_failure):
    assert (failure_of(status, body, method="POST") is not None) is is_failure


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("", 1),
        ("3", 3),
        ("0", 1),
        ("soon", 1),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", 1),
    ],
)
def test_retry_after_is_never_shorter_than_a_calendar_second(header, least):
    assert retry_after({"retry-after": header}) == least


def test_the_message_for_a_foreign_address_tells_what_to_do():
    body = {"status": "error", "error_type": "InputException", "message": "IP (1.2.3.4) is not allowed to place orders"}
    failure = failure_of(400, body, method="POST")
    assert "register it in the developer console" in failure.message
