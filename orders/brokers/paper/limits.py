"""Rate limits, as Kite publishes them: calendar seconds, minutes and days of the server's clock.

Belongs here: counting requests and refusing the one too many. Requests refused here are not
counted, requests refused later are.
"""

import time
from collections import Counter
from dataclasses import dataclass, field

from .errors import NetworkError

TOO_MANY = "Too many requests"
DAY_FULL = "Maximum allowed order request exceeded"


@dataclass
class Limits:
    """Requests allowed; 0 is no limit. Orders count per client, everything else per api key."""

    enabled: bool = True
    orders_per_second: int = 10
    orders_per_minute: int = 400
    orders_per_day: int = 5000
    quotes_per_second: int = 0
    others_per_second: int = 10
    modifications: int = 25
    _seen: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    _second: int = 0
    _placed: dict[str, tuple[str, int]] = field(default_factory=dict)

    def figures(self) -> dict[str, int | bool]:
        """The settable figures by name."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def set(self, figures: dict[str, object]) -> None:
        """Change figures. Raises ValueError naming one that does not exist or does not fit."""
        for name, value in figures.items():
            if name not in self.figures():
                raise ValueError(f"{name} is not a limit; there are {', '.join(self.figures())}")
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number from 0")
        for name, value in figures.items():
            setattr(self, name, value)

    def clear(self) -> None:
        """Forget what was counted."""
        self._seen.clear()
        self._placed.clear()

    def count_order(self, user_id: str, day: str) -> None:
        """Count a placement on a trade date. Raises NetworkError (429)."""
        if not self.enabled:
            return
        known, placed = self._placed.get(user_id, (day, 0))
        placed = placed if known == day else 0
        if self.orders_per_day and placed >= self.orders_per_day:
            raise NetworkError(DAY_FULL, 429)
        self._count(user_id, {"order": self.orders_per_second, "minute": self.orders_per_minute})
        self._placed[user_id] = (day, placed + 1)

    def add_to_day(self, user_id: str, orders: int) -> None:
        """Legs and slices count toward the day beside the request that brought them."""
        if user_id in self._placed:
            day, placed = self._placed[user_id]
            self._placed[user_id] = (day, placed + orders)

    def resume(self, user_id: str, day: str, placed: int) -> None:
        """After a restart: orders placed on the trade date so far."""
        self._placed[user_id] = (day, placed)

    def count_quote(self, api_key: str) -> None:
        """Count a quote request. Raises NetworkError (429)."""
        if self.enabled and self.quotes_per_second:
            self._count(api_key, {"quote": self.quotes_per_second})
        else:
            self.count_other(api_key)

    def count_other(self, api_key: str) -> None:
        """Count any other request. Raises NetworkError (429)."""
        if self.enabled:
            self._count(api_key, {"other": self.others_per_second})

    def _count(self, who: str, windows: dict[str, int]) -> None:
        now = int(time.time())
        if now != self._second:
            self._second = now
            recent = (now, now // 60)
            self._seen = Counter({k: n for k, n in self._seen.items() if k[2] in recent})
        keys = {(who, name, now // 60 if name == "minute" else now): limit for name, limit in windows.items()}
        if any(limit and self._seen[key] >= limit for key, limit in keys.items()):
            raise NetworkError(TOO_MANY, 429)
        self._seen.update(keys.keys())
