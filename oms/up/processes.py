"""Child processes that never outlive their parent: how one is described, started and stopped.

Used by the embedded servers and by the supervisor of `manage.py up`. What is started, and when it
is started again, is decided there and not here.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

PR_SET_PDEATHSIG = 1
# Loaded before any fork: nothing may be imported between fork and exec.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartError(Exception):
    """Something could not be started; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class OsUser:
    """The operating system's user and group that a program runs as, by number."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """What the operating system needs to start one process.

    `stop_signal` asks for an orderly end; the kernel sends the same signal when our own process dies,
    whatever killed it. `keep_fds` stay open in the child: a child that holds the lock of the home
    keeps it for as long as it lives.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    user: OsUser | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    keep_fds: tuple[int, ...] = ()

    def start(self, output: int | IO[bytes] | None) -> subprocess.Popen[bytes]:
        """Start it as the leader of its own process group, so that a Ctrl-C reaches the supervisor only."""
        parent = os.getpid()
        return subprocess.Popen(
            self.argv,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            bufsize=0,
            process_group=0,
            pass_fds=self.keep_fds,
            user=self.user.uid if self.user else None,
            group=self.user.gid if self.user else None,
            extra_groups=[] if self.user else None,
            # Runs after the change of user, which would clear the setting. Both our callers are single-threaded.
            preexec_fn=lambda: die_with_parent(self.stop_signal, parent=parent),  # noqa: PLW1509
        )


class Service:
    """One process that is to be running: started, watched, stopped and started again.

    `program` is called for every start, because a start may depend on what the last run left behind.
    """

    def __init__(self, name: str, program: Callable[[], Program], ready: Callable[[], bool]) -> None:
        self.name = name
        self.is_ready = ready
        self._program = program
        self._stop_signal = signal.SIGTERM
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, output: int | IO[bytes] | None) -> None:
        program = self._program()
        self._stop_signal = program.stop_signal
        self.process = program.start(output)

    def exit_code(self) -> int | None:
        """None while it runs (or was never started)."""
        return self.process.poll() if self.process else None

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(self._stop_signal)

    def wait_stopped(self, *, deadline: float) -> None:
        """Wait until `deadline` (monotonic seconds), then kill; never returns with anything left running."""
        if not self.process:
            return
        try:
            self.process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.kill_group()

    def kill_group(self) -> None:
        """End what a dead process left in its group: pool workers of a master that was killed."""
        if self.process:
            # The group may be empty; on some systems a group of zombies answers EPERM.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def die_with_parent(signal_number: signal.Signals, *, parent: int | None = None) -> None:
    """Have the kernel send us `signal_number` when the thread that started this process ends (Linux only).

    With `parent`, its process id: ends this process at once when the parent was already gone before
    the kernel knew of the wish.
    """
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def wait_ready(service: Service, *, seconds: float) -> None:
    """Block until the service answers.

    Raises StartError when it ends first or does not answer in `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not service.is_ready():
        code = service.exit_code()
        if code is not None:
            raise StartError(f"{service.name} ended with exit code {code} while starting")
        if time.monotonic() > deadline:
            raise StartError(f"{service.name} did not answer within {seconds:.0f} seconds")
        time.sleep(0.02)
