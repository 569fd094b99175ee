"""Where a web worker's time goes under load: one more worker on a port of its own, with `profiled.py` in it.

Each sample is laid at the door of the innermost function of the project, and of what it was waiting for or calling.
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.http_client import Connection, drive
from benchmarks.stack import ROOT, free_ports
from benchmarks.where import database_waits
from benchmarks.world import CLIENTS, World

START_SECONDS = 20.0
PROJECT = ("oms", "orders", "ledger", "compliance")
#: Seen through: they are how the project's functions reach the database, not why.
CARRIERS = ("oms/lib/db.py",)
#: The innermost function while a driver waits for its server.
WAITING = {
    "psycopg": ("connection.py:wait",),
    "redis": ("recv", "readline", "sendall", "_read_from_socket", "read_response"),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """Milliseconds of one order by kind and by (place, kind), most first, and connections busy with what on average."""

    orders: int
    kinds: list[tuple[str, float]]
    places: list[tuple[str, str, float]]
    database: list[tuple[str, float]]
    stacks: list[tuple[str, int]]


def profile(world: World, *, seconds: float) -> Profile:
    """Load one worker with four clients and sort what it was seen doing."""
    world.route(world.nowhere)
    [port] = free_ports(1)
    granian = ["--interface", "wsgi", "--workers", "1", "--blocking-threads", "1", "--no-ws"]
    granian += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "granian", *granian, "benchmarks.profiled:application"],
        cwd=ROOT, env=world.stack.environ, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_ready(port)
        drive(port, world.token, [world.body(0)], seconds=1)
        Connection(port).json("GET", "/benchmark-profile")
        drive(port, world.token, [world.body(0)], seconds=seconds)
        seen = Connection(port).json("GET", "/benchmark-profile")
    finally:
        worker.terminate()
        worker.wait()
    with database_waits() as waits:
        drive(world.stack.web_port, world.token, [world.body(n) for n in range(CLIENTS)], seconds=seconds / 2)
    return _sorted(seen, waits)


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(ConnectionError):
            Connection(port).json("GET", "/health/live")
            return
        time.sleep(0.1)
    raise RuntimeError("the profiled web worker did not start")


def _sorted(seen: dict[str, Any], waits: Mapping[str, float]) -> Profile:
    milliseconds = 1000 * seen["seconds"] / seen["requests"]
    kinds: Counter[str] = Counter()
    places: Counter[tuple[str, str]] = Counter()
    folded = []
    for frames, count in seen["stacks"]:
        stack = [_short(frame) for frame in frames]
        kind = _kind(stack)
        kinds[kind] += count
        places[_place(stack), kind] += count
        folded.append((";".join(reversed(stack)), count))
    return Profile(
        seen["requests"],
        [(kind, count * milliseconds) for kind, count in kinds.most_common()],
        [(place, kind, count * milliseconds) for (place, kind), count in places.most_common()],
        sorted(waits.items(), key=lambda item: -item[1]),
        folded,
    )


def _short(frame: str) -> str:
    """The file from the package on: `orders/services/desk.py:write`."""
    path, _, function = frame.rpartition(":")
    for root in ("/site-packages/", f"{ROOT}/", "/lib/python"):
        path = path.rpartition(root)[2]
    return f"{path}:{function}"


def _kind(stack: list[str]) -> str:
    """What the innermost frames were about; a driver's waiting apart from its own work."""
    for library in ("psycopg", "redis", "celery", "kombu"):
        if any(frame.startswith(f"{library}/") for frame in stack[:8] if not _is_project(frame)):
            waits = any(stack[0].endswith(name) for name in WAITING.get(library, ()))
            return f"waits for {library}" if waits else library
    return "python"


def _place(stack: list[str]) -> str:
    own = next((frame for frame in stack if _is_project(frame) and not frame.startswith(CARRIERS)), None)
    return own or next((frame for frame in stack if "/" in frame), "?")


def _is_project(frame: str) -> bool:
    return frame.split("/", 1)[0] in PROJECT


def write_folded(profile: Profile, file: Path) -> None:
    """The stacks in the folded form that every flame graph tool reads."""
    file.write_text("".join(f"{stack} {count}\n" for stack, count in sorted(profile.stacks)))
