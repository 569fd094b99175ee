"""Things that go wrong on purpose, each by probability or for the next so many calls.

Belongs here: what can be asked for and when it strikes. Making it happen is done where it
happens: `gate` for requests, `postbacks` for notices, `exchange` for orders.
"""

from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

REQUEST_KINDS = ("delay", "token_expiry", "drop", "accept_and_drop", "http_5xx", "http_429", "html_error", "timed_out")
POSTBACK_KINDS = ("postback_off", "postback_duplicate", "postback_late", "postback_reorder")
ORDER_KINDS = ("cancelled_then_filled",)
BOOK_KINDS = ("stale_book",)
KINDS = REQUEST_KINDS + POSTBACK_KINDS + ORDER_KINDS + BOOK_KINDS
WRITES = ("place", "modify", "cancel")
ROUTES = (
    "any",
    "writes",
    *WRITES,
    "book",
    "order",
    "trades",
    "portfolio",
    "funds",
    "quotes",
    "instruments",
    "calculators",
    "session",
)


@dataclass(slots=True)
class Fault:
    """`calls`: strikes left, None without end. `seconds`: of a delay, a late notice, a stale book
    or until a ghost fill. `status`: of http_5xx and html_error. `taken`: the request is carried out
    before its answer is spoilt or delayed."""

    id: int
    kind: str
    route: str = "any"
    probability: float = 1.0
    calls: int | None = None
    seconds: float = 1.0
    status: int = 503
    taken: bool = False
    struck: int = 0

    def covers(self, route: str) -> bool:
        """True for a request of this route class."""
        return self.route in ("any", route) or (self.route == "writes" and route in WRITES)


@dataclass
class Faults:
    """The faults in force. Each draws from a stream of its own, so that a seed decides everything
    about one fault whatever else goes on."""

    seed: int
    active: dict[int, Fault] = field(default_factory=dict)
    _streams: dict[int, Random] = field(default_factory=dict)
    _count: int = 0

    def add(self, fields: dict[str, Any]) -> Fault:
        """Put a fault in force. Raises ValueError naming the field that does not fit."""
        unknown = fields.keys() - {"kind", "route", "probability", "calls", "seconds", "status", "taken"}
        if unknown:
            raise ValueError(f"unknown field {', '.join(sorted(unknown))}")
        route = "cancel" if fields.get("kind") in ORDER_KINDS else "any"
        fault = Fault(id=self._count + 1, **{"kind": "", "route": route, **fields})
        if fault.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if fault.route not in ROUTES:
            raise ValueError(f"route must be one of {', '.join(ROUTES)}")
        if not 0 <= fault.probability <= 1:
            raise ValueError("probability must lie between 0 and 1")
        if fault.calls is not None and (type(fault.calls) is not int or fault.calls < 1):
            raise ValueError("calls must be a whole number from 1")
        if not 500 <= fault.status <= 599 or not 0 <= fault.seconds <= 600:
            raise ValueError("status must be 500 to 599 and seconds 0 to 600")
        self._count = fault.id
        self.active[fault.id] = fault
        self._streams[fault.id] = Random(f"{self.seed}:{fault.id}:{fault.kind}")  # noqa: S311 - repeatable, not secret
        return fault

    def draw(self, kinds: tuple[str, ...], route: str = "any") -> list[Fault]:
        """The faults of these kinds that strike now, in the order they were put in force."""
        struck = []
        for fault in list(self.active.values()):
            if fault.kind not in kinds or not fault.covers(route):
                continue
            if self._streams[fault.id].random() >= fault.probability:
                continue
            struck.append(fault)
            fault.struck += 1
            if fault.calls is not None:
                fault.calls -= 1
                if not fault.calls:
                    self.remove(fault.id)
        return struck

    def remove(self, number: int) -> None:
        """Lift one fault. Raises KeyError for an unknown one."""
        del self.active[number]

    def clear(self) -> None:
        """Lift all faults; the next ones draw as after a start."""
        self.active.clear()
        self._count = 0

    def state(self) -> list[dict[str, Any]]:
        """The faults in force, as JSON."""
        return [asdict(fault) for fault in self.active.values()]
