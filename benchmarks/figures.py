"""What is measured, as plain values: timings, and figures beside the limit of the same run. Printing is `report.py`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self


def percentile(ascending: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of ascending values; `share` is 0 to 1. 0 of nothing."""
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)] if ascending else 0.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Many equal things done: how many a second, and seconds for one at the 50th and 99th percentile."""

    per_second: float
    p50: float
    p99: float
    count: int

    @classmethod
    def of(cls, latencies: Iterable[float], *, seconds: float) -> Self:
        """From the seconds that each took, and the seconds that all took together."""
        ascending = sorted(latencies)
        return cls(len(ascending) / seconds, percentile(ascending, 0.5), percentile(ascending, 0.99), len(ascending))


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is to reach: its `what` (value, ratio or times) at least or at most `bound`. Never a failure."""

    what: str
    bound: float
    at_least: bool = True

    def __str__(self) -> str:
        unit = {"times": " × limit", "ratio": " of limit"}.get(self.what, "")
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}{unit}"


def at_most(what: str, bound: float) -> Target:
    return Target(what, bound, at_least=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `limit` is what the same work costs without us, in the same unit.

    `unit` is "/s" where more is better, else "ms", "s" or "%". `p50` and `p99` are seconds. `cost` and `limit_cost` are
    milliseconds of processor time of one order by service, most first.
    """

    section: str
    name: str
    value: float
    unit: str
    p50: float | None = None
    p99: float | None = None
    limit: float | None = None
    note: str = ""
    target: Target | None = None
    cost: dict[str, float] = field(default_factory=dict)
    limit_cost: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From what `results/*.json` holds of it."""
        fields = {name: document[name] for name in cls.__slots__}
        return cls(**fields | {"target": Target(**document["target"]) if document["target"] else None})

    @property
    def ratio(self) -> float | None:
        """How near to the limit: 1 is as fast as it can be."""
        if not self.limit or not self.value:
            return None
        return self.value / self.limit if self.unit == "/s" else self.limit / self.value

    @property
    def times(self) -> float | None:
        """How many times the limit's time or cost it takes."""
        return 1 / self.ratio if self.ratio else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is; None without one."""
        if self.target is None:
            return None
        measured: float | None = getattr(self, self.target.what)
        if measured is None:
            return None
        return measured >= self.target.bound if self.target.at_least else measured <= self.target.bound
