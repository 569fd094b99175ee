"""What each kind of broker allows, as values: when its sessions end, how fast calls may go, whether money is real.

Services read the rules of a kind here, since they may not import `orders.brokers`, whose registry fills this at start.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from oms.lib.clock import IST


@dataclass(frozen=True, slots=True)
class Rates:
    """How much a broker takes from one account; an operator may set lower figures on the broker account."""

    orders_per_second: int
    orders_per_minute: int
    orders_per_day: int
    modifications_per_order: int
    other_calls_per_second: int


@dataclass(frozen=True, slots=True)
class BrokerRules:
    """What services ask of one kind of broker. Times of day are in IST.

    A session lasts until the next `session_ends`; one that was opened before `flushed_until` on the same morning may
    be ended by the broker then. Unless the kind `is_simulated`, its money is real: it is met by https only, keeps the
    exchange's hours, and only a person logs in. `needs_tokens`: its calls name instruments by the broker's own tokens.
    A book that was read `shows_within` or more after an order was sent proves something if it does not show the order.
    """

    name: str
    session_ends: time
    rates: Rates
    flushed_until: time | None = None
    quotes_per_second: int = 1
    shows_within: timedelta = timedelta(seconds=5)
    is_simulated: bool = False
    needs_tokens: bool = False

    def next_expiry(self, at: datetime) -> datetime:
        """The first instant after `at` at which a session is over, in UTC."""
        local = at.astimezone(IST)
        day = local.date() + timedelta(days=0 if local.time() < self.session_ends else 1)
        return datetime.combine(day, self.session_ends, IST).astimezone(UTC)

    def may_be_flushed(self, at: datetime) -> bool:
        """Whether the broker may end a session that is opened at an instant before its day is over."""
        until = self.flushed_until
        return until is not None and self.session_ends <= at.astimezone(IST).time() < until


#: By kind; `orders.brokers.registry` says which there are.
RULES: dict[str, BrokerRules] = {}


def rules_of(kind: str) -> BrokerRules:
    """The rules of a kind of broker. Raises KeyError for one that nobody registered."""
    return RULES[kind]


def kind_choices() -> list[tuple[str, str]]:
    """Every kind with its name, for lists to choose from."""
    return [(kind, rules.name) for kind, rules in RULES.items()]


def simulated_kinds() -> list[str]:
    """The kinds without real money."""
    return [kind for kind, rules in RULES.items() if rules.is_simulated]
