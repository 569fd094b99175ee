"""Where the time goes: processor time by service, what the database waits for, and samples of a web worker's stacks.

Reads /proc (Linux) and pg_stat_activity; changes nothing.
"""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
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


class CpuMeter:
    """Processor seconds that each service, its children included, has used since the meter was made."""

    def __init__(self, stack: Stack) -> None:
        self._services = {pid: name for name, pid in stack.pids().items() if name != "up"} | {os.getpid(): "clients"}
        self._began = self._by_service()

    def read(self) -> dict[str, float]:
        """Seconds by service, those that used any; the load generator is `clients`."""
        used = {name: seconds - self._began.get(name, 0.0) for name, seconds in self._by_service().items()}
        return {name: seconds for name, seconds in sorted(used.items(), key=lambda item: -item[1]) if seconds > 0}

    def _by_service(self) -> Counter[str]:
        parents: dict[int, int] = {}
        seconds: dict[int, float] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            pid = int(stat.parent.name)
            parents[pid], seconds[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / TICKS
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
