"""The errors that a service raises and every door (API, admin, gRPC) knows how to show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field. `pointer` is a JSON pointer into the request, e.g. `/quantity`."""

    pointer: str
    code: str
    message: str


class DomainError(Exception):
    """A request that the rules refuse.

    `code` is stable and machine-readable; `detail` tells a person what to do next. `status` is
    the HTTP status that fits best, so that a door need not know each subclass.
    """

    status = 422
    code = "refused"
    title = "The request was refused"

    def __init__(self, detail: str, *, code: str | None = None, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = errors


class Invalid(DomainError):
    """The request is malformed: a field is missing, of a wrong type or out of its domain."""

    status = 400
    code = "invalid"
    title = "The request is not valid"


class Forbidden(DomainError):
    """The actor may not do this to a thing that it may see."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFound(DomainError):
    """No such thing, or none that the actor may see."""

    status = 404
    code = "not_found"
    title = "Not found"


class Conflict(DomainError):
    """The thing is in a state that does not admit the request."""

    status = 409
    code = "conflict"
    title = "Conflict with the present state"


class Stale(DomainError):
    """The caller's version is not the present one."""

    status = 412
    code = "stale_version"
    title = "The order has changed since you read it"


class Unavailable(DomainError):
    """A part that the request needs is not there right now; the same request may pass later."""

    status = 503
    code = "unavailable"
    title = "Temporarily unavailable"
