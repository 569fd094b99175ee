"""Where the time goes: processor time by service, what the database waits for, and samples of a web worker's stacks.

Reads /proc (Linux) and pg_stat_activity; changes nothing.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings

from benchmarks.stack import Stack

TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.01
_ACTIVE = """SELECT CASE WHEN state = 'active' THEN coalesce(wait_event_type || ':' || wait_event, 'running')
                         ELSE state END
    FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()
      AND query NOT LIKE '%compliance_orderevent WHERE (xid%'"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of a stretch of work: milliseconds of one order by service, most first; and how much of the
    machine went to programs that have nothing to do with it (0 to 1).
    """

    milliseconds: dict[str, float]
    elsewhere: float

    @property
    def ours(self) -> float:
        """Milliseconds of all services together, without the load generator."""
        return sum(cost for name, cost in self.milliseconds.items() if name != "clients")


class CpuMeter:
    """Processor seconds that each service, its children included, has used since the meter was made."""

    def __init__(self, stack: Stack) -> None:
        self._services = {pid: name for name, pid in stack.pids().items() if name != "up"} | {os.getpid(): "clients"}
        self._began, self._machine = self._by_service(), _machine()

    def used(self) -> dict[str, float]:
        """Seconds so far by service; the load generator is `clients`."""
        return {name: seconds - self._began.get(name, 0.0) for name, seconds in self._by_service().items()}

    def per_order(self, orders: int) -> Cost:
        """What `orders` orders have cost."""
        used = self.used()
        busy, total = (now - then for now, then in zip(_machine(), self._machine, strict=True))
        shown = sorted(((name, 1000 * seconds / orders) for name, seconds in used.items()), key=lambda item: -item[1])
        return Cost({name: cost for name, cost in shown if cost > 0}, max(busy - sum(used.values()), 0.0) / total)

    def _by_service(self) -> Counter[str]:
        parents: dict[int, int] = {}
        seconds: dict[int, float] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            pid = int(stat.parent.name)
            # With the children that have ended: a database connection is a process of its own.
            parents[pid], seconds[pid] = int(fields[1]), sum(map(int, fields[11:15])) / TICKS
        total: Counter[str] = Counter()
        for pid, used in seconds.items():
            name = self._service_of(pid, parents)
            if name:
                total[name] += used  # type: ignore[assignment]
        return total

    def _service_of(self, pid: int, parents: dict[int, int]) -> str | None:
        ancestor: int | None = pid
        while ancestor:
            if ancestor in self._services:
                return self._services[ancestor]
            ancestor = parents.get(ancestor)
        return None


def _machine() -> tuple[float, float]:
    """Busy and all processor seconds of the whole machine."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS, sum(ticks) / TICKS


@contextmanager
def database_waits() -> Iterator[Counter[str]]:
    """Counts, while the block runs, of what each busy connection was doing; in the end, connections on average.

    `running` is on the processor (or wants to be), `idle in transaction` waits for the web worker.
    """
    counts: Counter[str] = Counter()
    stop = threading.Event()
    samples = 0

    def watch() -> None:
        nonlocal samples
        database = settings.DATABASES["default"]
        host = database["HOST"] or database["OPTIONS"]["host"]
        with psycopg.connect(host=host, user=database["USER"], dbname=database["NAME"], autocommit=True) as connection:
            while not stop.wait(SAMPLE_SECONDS):
                counts.update(kind for (kind,) in connection.execute(_ACTIVE))
                samples += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield counts
    finally:
        stop.set()
        watcher.join()
        for kind in counts:
            counts[kind] /= max(samples, 1)  # type: ignore[assignment]
