"""The exchange's clock and sessions, in Indian Standard Time.

Belongs here: what time it is for the exchange (real, shifted or frozen) and whether it trades.
Nothing else in the exchange reads the machine's time for business.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone

IST = timezone(timedelta(hours=5, minutes=30), "IST")
OPENS, CLOSES = time(9, 15), time(15, 30)
MODES = ("open", "market", "closed")


def stamp(moment: datetime) -> str:
    """Kite's text of an instant: IST, seconds, no zone."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


@dataclass
class Clock:
    """`mode`: open (trades around the clock), market (NSE hours) or closed.

    `shift` moves the clock against real time; `frozen_at` stops it.
    """

    mode: str = "open"
    shift: timedelta = timedelta()
    frozen_at: datetime | None = None
    holidays: set[date] = field(default_factory=set)

    def now(self) -> datetime:
        """The exchange's time, aware, in IST."""
        return self.frozen_at or datetime.now(UTC).astimezone(IST) + self.shift

    def today(self) -> date:
        """The trade date: the IST calendar date."""
        return self.now().date()

    def is_trading_day(self) -> bool:
        """True on weekdays that are no holiday, and always in the open mode."""
        today = self.today()
        return self.mode == "open" or (today.weekday() < 5 and today not in self.holidays)

    def is_open(self) -> bool:
        """True while orders match."""
        if self.mode != "market":
            return self.mode == "open"
        return self.is_trading_day() and OPENS <= self.now().time() < CLOSES

    def set(
        self,
        *,
        mode: str | None = None,
        now: datetime | None = None,
        frozen: bool = False,
        holidays: list[date] | None = None,
    ) -> None:
        """Change the mode, and the time: `now` given starts (or stops) there, absent is real time.

        Raises ValueError for an unknown mode.
        """
        if mode is not None and mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        self.mode = mode or self.mode
        if holidays is not None:
            self.holidays = set(holidays)
        if now is not None and now.tzinfo is None:
            now = now.replace(tzinfo=IST)
        real = datetime.now(UTC).astimezone(IST)
        self.shift = now.astimezone(IST) - real if now else timedelta()
        self.frozen_at = (now or real).astimezone(IST) if frozen else None

    def state(self) -> dict[str, object]:
        """The clock as JSON, for the store and the control route."""
        return {
            "mode": self.mode,
            "shift_seconds": self.shift.total_seconds(),
            "frozen_at": self.frozen_at.isoformat() if self.frozen_at else None,
            "holidays": sorted(day.isoformat() for day in self.holidays),
        }

    def restore(self, state: dict[str, object]) -> None:
        """Take back what `state` gave."""
        frozen = state["frozen_at"]
        self.mode = str(state["mode"])
        self.shift = timedelta(seconds=float(str(state["shift_seconds"])))
        self.frozen_at = datetime.fromisoformat(str(frozen)) if frozen else None
        holidays = state["holidays"]
        if isinstance(holidays, list):
            self.holidays = {date.fromisoformat(day) for day in holidays}
