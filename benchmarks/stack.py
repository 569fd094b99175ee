"""A whole OMS of the benchmark's own: `manage.py up` in a temporary home, on free ports, with every rate limit lifted.

Only starts, points this process at it, and stops it. What is traded on it is `world.py`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from oms.testing import temporary_home

ROOT = Path(__file__).resolve().parent.parent
WEB_WORKERS = 2
START_SECONDS = 180.0
STOP_SECONDS = 30.0
LIFTED = {
    "OMS_API_RATE_PER_MINUTE": "0",
    "OMS_LOGIN_RATE_PER_MINUTE": "0",
    "OMS_PAPER_OPTIONS": "--no-rate-limits",
    "OMS_WEB_WORKERS": str(WEB_WORKERS),
    "OMS_LOG_LEVEL": "WARNING",
}
#: The benchmark measures this checkout's own servers, never somebody's database.
NOT_INHERITED = ("DATABASE_URL", "REDIS_URL", "OMS_HOME", "DJANGO_SETTINGS_MODULE", "PROMETHEUS_MULTIPROC_DIR")


class StackError(Exception):
    """The OMS could not be started; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running OMS: where it is, and the variables that a further process of it needs."""

    home: Path
    web_port: int
    exchange_port: int
    environ: dict[str, str]

    def pids(self) -> dict[str, int]:
        """Process id of each service, by name."""
        found: dict[str, int] = json.loads((self.home / "run" / "pids.json").read_text())
        return found

    def exchange(self, path: str, body: object = None, *, method: str | None = None) -> None:
        """One command to the paper exchange's control routes."""
        headers = {"X-Paper-Control": "paper-control", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.exchange_port}/control{path}"
        with urlopen(Request(url, data, headers, method=method), timeout=5) as answer:
            answer.read()


@contextmanager
def running() -> Iterator[Stack]:
    """Start everything, wait until it is ready, and leave nothing behind. Raises StackError."""
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home())
        web, exchange, stream = free_ports(3)
        environ = {k: v for k, v in os.environ.items() if k not in NOT_INHERITED} | LIFTED
        ports = ["--port", str(web), "--exchange-port", str(exchange), "--stream-port", str(stream)]
        log = stack.enter_context((home.parent / "up.log").open("w+"))
        up = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--home", str(home), *ports],
            cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        stack.callback(_stop, up)
        _wait_ready(up, web, Path(log.name))
        shared = json.loads((home / "run" / "environment.json").read_text())
        yield Stack(home, web, exchange, environ | shared)


def join(stack: Stack) -> None:
    """Make this process a Django process of that OMS."""
    os.environ.update(stack.environ, DJANGO_SETTINGS_MODULE="oms.settings")
    import django

    django.setup()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _wait_ready(up: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(port):
        if up.poll() is not None or time.monotonic() > deadline:
            raise StackError(f"The OMS did not come up; its last words:\n{_tail(log)}")
        time.sleep(0.2)


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2) as answer:
            return bool(json.load(answer)["status"] == "ok")
    except (URLError, TimeoutError, ConnectionError):
        return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _stop(up: "subprocess.Popen[bytes]") -> None:
    up.send_signal(signal.SIGINT)
    try:
        up.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        up.kill()
        up.wait()
