"""Keeping services running: said by name, started again with patience, stopped in the right order."""

import io
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from oms.up import supervisor
from oms.up.embedded import Home
from oms.up.processes import Program, Service, StartError
from oms.up.supervisor import FIRST_PAUSE, LONGEST_PAUSE, STEADY_AFTER, Child, Supervisor
from oms.up.terminal import Terminal

FOREVER = "while :; do sleep 0.05; done"


def service(name: str, script: str = FOREVER, ready: Callable[[], bool] = lambda: True) -> Service:
    program = Program(argv=["sh", "-c", script], env={"PATH": os.environ["PATH"]})
    return Service(name, lambda: program, ready)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.run.mkdir()
    (tmp_path / "log").mkdir()
    return made


class Run:
    """A supervisor on `home` with what it says; `until` is asked at every moment of rest."""

    def __init__(self, home: Home, *services: Service) -> None:
        self.out = io.StringIO()
        self.supervisor = Supervisor(home, [], services, Terminal(self.out))

    def __call__(self, when_ready: Callable[[], None] = lambda: None) -> str:
        self.supervisor.run(when_ready)
        return self.out.getvalue()


def stop(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_it_runs_until_it_is_asked_to_stop_and_leaves_nobody(home: Home) -> None:
    services = [service("one", "echo hello from $$; " + FOREVER), service("two")]
    seen: dict[str, int] = {}

    def look() -> None:
        seen.update(json.loads((home.run / "pids.json").read_text()))
        stop()

    said = Run(home, *services)(look)
    assert seen.keys() == {"up", "one", "two"}
    assert seen["up"] == os.getpid()
    assert f"one           | hello from {seen['one']}" in said
    assert [one.is_running() for one in services] == [False, False]


def test_the_handlers_of_signals_are_as_before(home: Home) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    Run(home, service("one"))(stop)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_what_dies_is_started_again_and_its_last_words_are_passed_on(home: Home, tmp_path: Path) -> None:
    count = tmp_path / "starts"
    script = (
        f'echo x >> {count}; printf "last words"; test $(wc -l < {count}) -gt 2 && kill -TERM {os.getpid()}; exit 7'
    )
    said = Run(home, service("frail", script))()
    assert said.count("frail ended with exit code 7; starting it again in") >= 2
    assert "again in 0.2 s" in said
    assert "again in 0.4 s" in said
    assert said.count("frail         | last words") >= 2


def test_one_that_was_killed_is_told_so(home: Home) -> None:
    frail = service(
        "frail", f"test -e {home.root}/again && kill -TERM {os.getpid()}; touch {home.root}/again; kill -9 $$"
    )
    assert "frail was killed by SIGKILL; starting it again in" in Run(home, frail)()


def test_a_start_that_never_succeeds_is_an_error_that_names_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "READY_WITHIN", 0.3)
    never = service("never", ready=lambda: False)
    with pytest.raises(StartError, match="never did not come up within"):
        Run(home, service("fine"), never)(stop)
    assert not never.is_running()


def test_nobody_is_told_that_all_is_ready_before_it_is(home: Home) -> None:
    asked: list[str] = []

    def in_order() -> bool:
        asked.append("asked")
        return len(asked) > 1

    run = Run(home, service("one"))
    run.supervisor.run(lambda: (asked.append("ready"), stop())[0], in_order=in_order)
    assert asked == ["asked", "asked", "ready"]


def test_a_request_while_starting_stops_it_without_a_welcome(home: Home) -> None:
    told: list[str] = []

    def not_yet() -> bool:
        stop()
        return False

    run = Run(home, service("one"))
    run.supervisor.run(lambda: told.append("welcome"), in_order=not_yet)
    assert told == []


def test_one_that_does_not_stop_is_killed_and_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "STOP_WITHIN", 0.3)
    deaf = service("deaf", f"trap '' TERM; touch {home.root}/deaf; {FOREVER}", ready=(home.root / "deaf").exists)
    assert "deaf does not stop and is killed" in Run(home, deaf)(stop)
    assert deaf.exit_code() == -signal.SIGKILL


def test_what_was_started_first_ends_last(home: Home) -> None:
    ended = home.root / "ended"
    services = [
        service(name, f"trap 'echo {name} >> {ended}; exit 0' TERM; touch {home.root}/{name}; {FOREVER}",
                ready=lambda name=name: (home.root / name).exists())  # type: ignore[misc]
        for name in ("exchange", "web", "beat")
    ]  # fmt: skip
    Run(home, *services)(stop)
    assert sorted(ended.read_text().split()[:2]) == ["beat", "web"]
    assert ended.read_text().split()[2:] == ["exchange"]


def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_life() -> None:
    child = Child(service("one"), log=False)
    pauses = [child.pause() for _ in range(9)]
    assert pauses[:4] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE]
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE
    child.started_at -= STEADY_AFTER + 1
    assert child.pause() == FIRST_PAUSE
