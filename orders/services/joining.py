"""Requests of one process that arrive together are placed together: one transaction for all of them.

Who comes while nobody is placing places at once, alone. Who comes while somebody is waits, and when that one is
done the first of those who wait takes the lead: it places its own order and those of the others in one call. Every
order keeps its own person, key, outcome and answer. Threads only; nothing here outlives the process.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from django.db import InterfaceError, OperationalError

from oms.lib.errors import Unavailable
from orders.services.placement import Intent, Placement, place_orders

#: So many orders share a transaction at most: a longer list would hold many accounts for long.
MOST = 50
#: Who was not taken along for so long does not wait for a leader that is held up (by somebody's lock), but leads too.
PATIENCE_SECONDS = 0.25
#: A leader is bounded by the database's own timeouts; who hears nothing for so long is told that nobody knows.
ANSWER_SECONDS = 30.0


class Place(Protocol):
    """How a list is placed; see `place_orders`."""

    def __call__(self, intents: Sequence[Intent], *, at: datetime) -> list[Placement]: ...


@dataclass(eq=False, slots=True)
class _Waiter:
    """One request's thread. It wakes up to an outcome, or to a batch (itself first) that it is to lead."""

    intent: Intent
    at: datetime
    woken: threading.Event = field(default_factory=threading.Event)
    batch: "list[_Waiter] | None" = None
    placement: Placement | None = None
    error: BaseException | None = None
    is_shared: bool = False


class Joiner:
    """One per process; see the module."""

    def __init__(self, place: Place = place_orders) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()
        self._leaders = 0

    def place(self, intent: Intent, *, at: datetime) -> Placement:
        """Place one order, with whatever other threads want placed meanwhile.

        The instant of a transaction is the latest of its requests. Raises what `place_orders` raises, and
        Unavailable when nobody can say whether the order was placed: a repeat needs a key then, as after a lost answer.
        """
        mine = _Waiter(intent, at)
        with self._lock:
            if self._leaders:
                self._waiting.append(mine)
            else:
                self._leaders, mine.batch = 1, [mine]
        if mine.batch is None:
            self._wait(mine)
        if mine.batch is not None:
            self._lead(mine.batch)
        return self._outcome_of(mine)

    def _wait(self, mine: _Waiter) -> None:
        if mine.woken.wait(PATIENCE_SECONDS):
            return
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                self._leaders, mine.batch = self._leaders + 1, self._with_company(mine)
                return
        # Somebody has the order in hand: nobody else may place it, whatever becomes of that.
        if not mine.woken.wait(ANSWER_SECONDS):
            raise Unavailable("Nobody knows yet whether the order was placed: look before you repeat it.")

    def _with_company(self, leader: _Waiter) -> list[_Waiter]:
        """The leader and those who wait, the first come first. The lock is held."""
        return [leader, *(self._waiting.popleft() for _ in range(min(len(self._waiting), MOST - 1)))]

    def _lead(self, batch: "list[_Waiter]") -> None:
        try:
            placements = self._place([w.intent for w in batch], at=max(w.at for w in batch))
            for waiter, placement in zip(batch, placements, strict=True):
                waiter.placement = placement
        except BaseException as error:
            for waiter in batch:
                waiter.error, waiter.is_shared = error, len(batch) > 1
            if not isinstance(error, Exception):
                raise
        finally:
            self._hand_on()
            for waiter in batch:
                waiter.woken.set()

    def _hand_on(self) -> None:
        """Give the lead to the first who waits, or lay it down."""
        with self._lock:
            if not self._waiting:
                self._leaders -= 1
                return
            leader = self._waiting.popleft()
            leader.batch = self._with_company(leader)
        leader.woken.set()

    def _outcome_of(self, mine: _Waiter) -> Placement:
        if mine.placement is not None:
            return mine.placement
        assert mine.error is not None, "a waiter wakes up to an outcome"
        if mine.is_shared and (mine.intent.idempotent is not None or _was_undone(mine.error)):
            # One order may spoil the transaction of all. Each tries again by itself, and meets its own fate.
            return self._place([mine.intent], at=mine.at)[0]
        if isinstance(mine.error, Exception):
            raise mine.error
        raise Unavailable("The work was interrupted: look whether the order was placed.") from mine.error


def _was_undone(error: BaseException) -> bool:
    """Whether the transaction certainly did not commit. One whose connection broke may have, unheard.

    What runs after a commit never raises (`robust` hooks), so any other error came before it.
    """
    if isinstance(error, OperationalError | InterfaceError):
        code: str = getattr(error.__cause__, "sqlstate", None) or ""
        return bool(code) and not code.startswith(("08", "57P"))
    return isinstance(error, Exception)


_joiner = Joiner()


def place_joined(intent: Intent, *, at: datetime) -> Placement:
    """Place one order, together with what else this process is asked to place; see `Joiner.place`."""
    return _joiner.place(intent, at=at)
