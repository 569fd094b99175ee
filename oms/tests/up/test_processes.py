"""Child processes: asked to stop, killed when they do not, and never left behind with theirs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oms.up.processes import Program, Service, StartError, wait_ready

FOREVER = "while :; do sleep 0.05; done"
DEAF = "trap '' TERM; echo ready; " + FOREVER


def shell(script: str, **env: str) -> Program:
    return Program(argv=["sh", "-c", script], env={"PATH": os.environ["PATH"], **env})


@pytest.fixture
def service() -> Iterator[Service]:
    """One that runs until it is told to stop; told so at the end, whatever became of the test."""
    one = Service("one", lambda: shell(FOREVER), lambda: True)
    one.start(subprocess.DEVNULL)
    yield one
    one.wait_stopped(deadline=0)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition: object, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_sees_what_it_is_given_and_nothing_else() -> None:
    process = shell("echo $GIVEN-$HOME; echo wrong >&2", GIVEN="here").start(subprocess.PIPE)
    said, _ = process.communicate(timeout=10)
    assert said == b"here-\nwrong\n", "both outputs in one, and none of our own environment"


def test_a_service_says_whether_it_runs(service: Service) -> None:
    assert (service.is_running(), service.exit_code()) == (True, None)
    service.ask_to_stop()
    service.wait_stopped(deadline=time.monotonic() + 5)
    assert (service.is_running(), service.exit_code()) == (False, -signal.SIGTERM)
    service.ask_to_stop()  # nobody is there to hear it


def test_a_service_that_was_never_started_has_nothing_to_stop() -> None:
    never = Service("never", lambda: shell("true"), lambda: True)
    never.ask_to_stop()
    never.wait_stopped(deadline=0)
    never.kill_group()
    assert (never.is_running(), never.exit_code()) == (False, None)


def test_one_that_does_not_listen_is_killed_at_the_deadline() -> None:
    deaf = Service("deaf", lambda: shell(DEAF), lambda: True)
    deaf.start(subprocess.PIPE)
    assert deaf.process
    assert deaf.process.stdout
    assert deaf.process.stdout.readline() == b"ready\n"
    deaf.ask_to_stop()
    began = time.monotonic()
    deaf.wait_stopped(deadline=began + 0.2)
    assert 0.2 <= time.monotonic() - began < 3
    assert deaf.exit_code() == -signal.SIGKILL
    deaf.process.stdout.close()


def test_what_a_killed_process_started_goes_with_it(tmp_path: Path) -> None:
    script = f"({DEAF}) & echo $! > {tmp_path}/pid; {FOREVER}"
    parent = Service("parent", lambda: shell(script), (tmp_path / "pid").exists)
    parent.start(subprocess.DEVNULL)
    wait_ready(parent, seconds=5)
    until(lambda: (tmp_path / "pid").read_text().strip())
    child = int((tmp_path / "pid").read_text())
    assert is_there(child)
    assert parent.process
    parent.process.kill()
    parent.wait_stopped(deadline=time.monotonic() + 5)
    until(lambda: not is_there(child))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's wish is Linux's own")
def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, time\n"
        "from oms.up.processes import Program\n"
        f"child = Program(argv=['sh', '-c', {FOREVER!r}], env=dict(os.environ)).start(subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_there(child)
        parent.kill()
    until(lambda: not is_there(child))


def test_what_ends_while_it_starts_says_with_which_code() -> None:
    broken = Service("broken", lambda: shell("exit 3"), lambda: False)
    broken.start(subprocess.DEVNULL)
    with pytest.raises(StartError, match="broken ended with exit code 3 while starting"):
        wait_ready(broken, seconds=5)


def test_what_does_not_answer_in_time_is_said(service: Service) -> None:
    service.is_ready = lambda: False
    with pytest.raises(StartError, match="one did not answer within 0 seconds"):
        wait_ready(service, seconds=0.1)


def test_each_start_is_described_anew() -> None:
    """A start may depend on what the last run left behind."""
    words = iter(["first", "second"])
    changing = Service("changing", lambda: shell(f"echo {next(words)}"), lambda: True)
    said = []
    for _ in range(2):
        changing.start(subprocess.PIPE)
        assert changing.process
        said.append(changing.process.communicate(timeout=10)[0])
    assert said == [b"first\n", b"second\n"]
