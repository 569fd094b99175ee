"""Refusals as Kite words them: an error type, an HTTP code and a message.

Belongs here: the classes and their codes. Who refuses what is in the modules that raise them.
"""


class KiteError(Exception):
    """A refusal that becomes Kite's error envelope. Subclasses fix `error_type` and `code`."""

    error_type = "GeneralException"
    code = 500

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code


class TokenError(KiteError):
    """Session missing, wrong or over."""

    error_type = "TokenException"
    code = 403


class InputError(KiteError):
    """A parameter is missing, malformed or against a rule that needs no risk check."""

    error_type = "InputException"
    code = 400


class OrderError(KiteError):
    """The order named does not exist or cannot be acted on."""

    error_type = "OrderException"
    code = 400


class MarginError(KiteError):
    """Funds do not suffice."""

    error_type = "MarginException"
    code = 400


class HoldingError(KiteError):
    """Units need the client's authorisation at the depository (HTTP 428)."""

    error_type = "HoldingException"
    code = 428


class NetworkError(KiteError):
    """Too many requests, too many modifications, or the order system out of reach."""

    error_type = "NetworkException"
    code = 503
