"""`manage.py up` as a person starts it: one real run, looked at from outside."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.urls import reverse

from oms.testing import temporary_home
from oms.up.system import CALLBACK_PATH, POSTBACK_PATH

ROLES = {"up", "postgres", "valkey", "exchange", "web", "worker-orders", "worker-rest", "publisher", "beat", "stream"}
UP_SECONDS = 60.0
STOP_SECONDS = 30.0

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]


def free_ports() -> list[int]:
    probes = [socket.socket() for _ in range(3)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def until(condition: Callable[[], Any], what: str, *, seconds: float = UP_SECONDS) -> Any:
    """The condition's first true value; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    return pytest.fail(f"no {what} within {seconds:.0f} s")


class Running:
    """One `up` in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ports = free_ports()
        self.output = home.with_name("up.log")
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=settings.BASE_DIR, env=environment(), stdout=log, stderr=log
            )

    def command(self, *, home: Path | None = None, ports: list[int] | None = None) -> list[str]:
        web, exchange, stream = (str(port) for port in ports or self.ports)
        options = ["--port", web, "--exchange-port", exchange, "--stream-port", stream]
        return [sys.executable, "manage.py", "up", "--home", str(home or self.home), *options]

    def said(self) -> str:
        return self.output.read_text()

    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = json.loads((self.home / "run" / "pids.json").read_text())
        return pids

    def get(self, path: str) -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports[0]}{path}", timeout=5).status_code
        except httpx.TransportError:
            return 0


def environment() -> dict[str, str]:
    """Ours without what the test run points at its own servers and home."""
    ours = ("DATABASE_URL", "REDIS_URL", "OMS_", "DJANGO_SETTINGS_MODULE", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def refusal(command: list[str], **changes: str) -> str:
    """The one line that a start that must fail says."""
    done = subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env=environment() | changes,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    said = (done.stdout + done.stderr).strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def processes_of(home: Path) -> list[str]:
    """What still runs with this home: every process of `up` has it in its environment or its arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home).encode() in known and line and int(entry.name) != os.getpid():
            found.append(line)
    return found


@contextmanager
def started() -> Iterator[Running]:
    """An `up` that has written its processes' numbers; ended by force, and its home deleted, on leaving."""
    with temporary_home() as home:
        running = Running(home)
        pids = home / "run" / "pids.json"
        try:
            until(lambda: pids.exists() or running.process.poll() is not None, "processes")
            assert running.process.poll() is None, running.said()
            yield running
        finally:
            running.process.kill()
            running.process.wait()
            until(lambda: not processes_of(home), "end of the orphans", seconds=STOP_SECONDS)


@pytest.fixture(scope="module")
def up() -> Iterator[Running]:
    with started() as running:
        until(lambda: "The OMS is up" in running.said() or running.process.poll() is not None, "welcome")
        assert running.process.poll() is None, running.said()
        yield running


def test_everything_answers_when_it_says_so(up: Running) -> None:
    web, exchange, stream = up.ports
    assert up.get("/health/live") == 200
    assert httpx.get(f"http://127.0.0.1:{stream}/health/live").json() == {"status": "ok"}
    assert httpx.get(f"http://127.0.0.1:{exchange}/").status_code < 500
    assert set(up.pids()) == ROLES
    block = up.said()
    assert all(f"{name}-demo" in block for name in ("trader", "operator", "officer"))
    assert f"curl -s http://127.0.0.1:{web}/api/v1/orders" in block


def test_the_order_that_it_shows_fills(up: Running) -> None:
    body = json.loads(re.findall(r"-d '(\{.*\})'", up.said())[-1])
    with httpx.Client(base_url=f"http://127.0.0.1:{up.ports[0]}/api/v1/", timeout=10) as api:
        login = {"username": "trader", "password": "trader-demo"}
        # 503 while a thread finds its database again, which another test has killed: a client repeats it.
        token = until(lambda: api.post("auth/token", json=login).json().get("access"), "token")
        api.headers["Authorization"] = f"Bearer {token}"
        key = {"Idempotency-Key": "a-first-order"}
        placed = until(lambda: (got := api.post("orders", json=body, headers=key)).status_code != 503 and got, "answer")
        assert placed.status_code == 201, placed.text
        order = f"orders/{placed.json()['id']}"
        until(lambda: api.get(order).json().get("status") == "FILLED", "fill")


def test_the_exchange_is_told_the_addresses_that_exist() -> None:
    assert reverse("brokers:callback", args=["paper"]) == CALLBACK_PATH
    assert reverse("brokers:postback", args=["paper"]) == POSTBACK_PATH


def test_what_dies_is_started_again_and_said(up: Running) -> None:
    for role in ("web", "postgres", "worker-orders"):
        before = up.pids()[role]
        os.kill(before, signal.SIGKILL)
        until(lambda role=role, before=before: up.pids()[role] != before, f"new {role}")
        assert f"{role} was killed by SIGKILL; starting it again in" in up.said()
    until(lambda: up.get("/health/live") == 200, "answer from web")


def test_starts_that_cannot_work_say_why_in_one_sentence(up: Running, tmp_path: Path) -> None:
    other = free_ports()
    assert f"{up.home} is in use by process {up.process.pid}" in refusal(up.command(ports=other))
    assert f"{up.home} is in use" in refusal([*up.command(ports=other), "--reset"])
    taken = refusal(up.command(home=tmp_path / "other", ports=[other[0], other[1], up.ports[2]]))
    assert taken.endswith(f"Port {up.ports[2]} is taken: choose another one with --stream-port")
    new = up.command(home=tmp_path / "other", ports=other)
    assert "OMS_SECRET_KEY and OMS_FERNET_KEYS must be set" in refusal([*new, "--no-demo"])
    assert "the demo's data would go there" in refusal(new, DATABASE_URL="postgresql://elsewhere/oms")
    assert "No PostgreSQL binaries in OMS_PG_BIN=/nowhere" in refusal(new, OMS_PG_BIN="/nowhere")
    assert processes_of(tmp_path) == []


def test_a_term_signal_leaves_no_process_and_no_lock() -> None:
    with started() as running:
        running.process.terminate()
        assert running.process.wait(timeout=STOP_SECONDS) == 0, running.said()
        assert processes_of(running.home) == []
        assert not (running.home / "lock").exists()
        assert not (running.home / "run" / "pids.json").exists()


def test_killed_it_takes_everything_along() -> None:
    with started() as running:
        assert processes_of(running.home)
        running.process.kill()
        running.process.wait()
        until(lambda: not processes_of(running.home), "end of the orphans", seconds=STOP_SECONDS)
