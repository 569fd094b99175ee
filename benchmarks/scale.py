"""How much is measured: in full, or a tenth of a second of everything, to see that all of it still runs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """`seconds` is one run under load; `rounds` are repeated in turn with their limit, the median is shown."""

    seconds: float
    rounds: int
    listed: int
    grown: int
    book: int
    book_rounds: int
    watched_seconds: float
    bare_calls: int
    day: int
    idle_seconds: float
    patience: float = 300.0

    @property
    def changes(self) -> int:
        """Rows of the book that say something new, in one reading."""
        return self.book // 5


FULL = Scale(
    seconds=3, rounds=5, listed=500, grown=4_000, book=10_000, book_rounds=3, watched_seconds=12, bare_calls=24,
    day=2_000, idle_seconds=10,
)  # fmt: skip
SMOKE = Scale(
    seconds=0.1, rounds=1, listed=20, grown=40, book=100, book_rounds=1, watched_seconds=0.5, bare_calls=2,
    day=10, idle_seconds=0.5,
)  # fmt: skip
