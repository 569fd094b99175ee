"""Who is killed when: processes of the running OMS, found by what its supervisor wrote down, ended with SIGKILL.

Every role has its turn the same number of times, in random order, while orders are being taken. Who has not
come up again since the last time is spared for now, or nothing would be killed in the middle of anything.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

import httpx
import psycopg
import redis
from psycopg.conninfo import make_conninfo

from benchmarks.chaos.exchange import Exchange
from benchmarks.stack import Stack
from compliance.publisher import PUBLISHER_LOCK
from oms.celery import HEARTBEAT_KEY

#: What dies → the supervisor's names of it, each with all its children.
VICTIMS: dict[str, tuple[str, ...]] = {
    "web": ("web",),
    "worker": ("worker-orders", "worker-rest"),
    "publisher": ("publisher",),
    "broker": ("exchange",),
    "postgres": ("postgres",),
}
LOOK_SECONDS = 0.05
#: A system that takes no order for so long does not come back.
PATIENCE_SECONDS = 90.0


class Killer:
    """Kills each victim, or `only` some, `times` times. `taken` says how many orders were taken so far."""

    def __init__(
        self, stack: Stack, exchange: Exchange, only: Sequence[str], times: int, rng: Random, taken: Callable[[], int]
    ) -> None:
        if unknown := set(only) - VICTIMS.keys():
            raise ValueError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(VICTIMS)}")
        self.done: Counter[str] = Counter()
        self._stack, self._taken = stack, taken
        self._probes = Probes(stack, exchange)
        self._deck = [victim for victim in only or VICTIMS for _ in range(times)]
        rng.shuffle(self._deck)
        self._down: set[str] = set()

    @property
    def left(self) -> int:
        """Kills still to come."""
        return len(self._deck)

    def kill_next(self, pause: float) -> str:
        """When orders have been taken again for `pause` seconds, kill the next one that is up; its name.

        Raises TimeoutError when the system does not come back.
        """
        self._await_orders()
        time.sleep(pause)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (victim := next((v for v in self._deck if self._is_up(v)), None)) is None:
            _require(deadline, f"{', '.join(sorted(self._down))} did not come back")
        self._deck.remove(victim)
        pids = self._stack.pids()
        self._probes.forget(victim)
        for name in VICTIMS[victim]:
            # Each service leads a group; PostgreSQL's own children lead theirs, and are left to notice.
            with suppress(ProcessLookupError):
                os.killpg(pids[name], signal.SIGKILL)
        self._down.add(victim)
        self.done[victim] += 1
        return victim

    def wait_all_up(self) -> None:
        """Raises TimeoutError when something does not come back."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(self._is_up(victim) for victim in VICTIMS):
            _require(deadline, f"{', '.join(sorted(self._down))} did not come back")

    def _await_orders(self) -> None:
        before, deadline = self._taken(), time.monotonic() + PATIENCE_SECONDS
        while self._taken() == before:
            _require(deadline, "no order was taken any more")

    def _is_up(self, victim: str) -> bool:
        if victim in self._down and self._probes.is_up(victim):
            self._down.discard(victim)
        return victim not in self._down


class Probes:
    """How to see that what was killed works again."""

    def __init__(self, stack: Stack, exchange: Exchange) -> None:
        self._exchange = exchange
        self._redis = redis.Redis.from_url(stack.environ["REDIS_URL"])
        self._database = make_conninfo(stack.environ["DATABASE_URL"], connect_timeout=2)
        self._beats = [HEARTBEAT_KEY.format(hostname=f"{name}@up") for name in VICTIMS["worker"]]
        self._web = f"http://127.0.0.1:{stack.web_port}/health/live"

    def forget(self, victim: str) -> None:
        """Before a kill: a heartbeat outlives its worker for a while."""
        if victim == "worker":
            self._redis.delete(*self._beats)

    def is_up(self, victim: str) -> bool:
        """Whether it works."""
        match victim:
            case "web":
                return self._answers()
            case "worker":
                return self._redis.exists(*self._beats) == len(self._beats)
            case "broker":
                return self._exchange.ask("GET", "/health") is not None
            case "publisher":
                return self._query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s", PUBLISHER_LOCK)
            case _:
                return self._query("SELECT %s", 1)

    def _answers(self) -> bool:
        try:
            return httpx.get(self._web, timeout=1, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _query(self, statement: str, *parameters: object) -> bool:
        try:
            with psycopg.connect(self._database, autocommit=True) as connection:
                return connection.execute(statement, parameters).fetchone() is not None
        except psycopg.OperationalError:
            return False


def _require(deadline: float, otherwise: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(otherwise)
    time.sleep(LOOK_SECONDS)
