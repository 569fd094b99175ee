"""Keeps a set of services running: starts them, prefixes what they say, starts again what dies.

One thread and one loop, because children are forked from here. Which services there are is `system.py`;
when the system counts as started is decided by their own readiness checks.
"""

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from oms.up.embedded import Home
from oms.up.processes import Service, StartError
from oms.up.terminal import Terminal

FIRST_PAUSE = 0.2  # seconds before a dead child is started again; doubles up to the longest
LONGEST_PAUSE = 10.0
STEADY_AFTER = 10.0  # seconds of life after which a death counts as the first one again
READY_WITHIN = 60.0
ASK_EVERY = 0.2
STOP_WITHIN = 10.0
NEARLY_FULL = 20 * 2**20


class Child:
    """A supervised service with its output and its record of deaths."""

    def __init__(self, service: Service, *, log: bool) -> None:
        self.service = service
        self.logs_to_file = log
        self.deaths = 0
        self.started_at = time.monotonic()
        self.start_again_at: float | None = None
        self.unfinished = b""

    def pause(self) -> float:
        """Count a death; gives the seconds to wait before the next start."""
        if time.monotonic() - self.started_at > STEADY_AFTER:
            self.deaths = 0
        self.deaths += 1
        return min(FIRST_PAUSE * 2.0 ** (self.deaths - 1), LONGEST_PAUSE)


class Supervisor:
    """Runs until it is asked to stop by SIGINT, SIGTERM or SIGHUP; a second request stops it without patience.

    `servers` run already and are only watched; `services` are started and stopped here.
    """

    def __init__(self, home: Home, servers: Sequence[Service], services: Sequence[Service], terminal: Terminal) -> None:
        self._home = home
        self._terminal = terminal
        self._own = [Child(service, log=False) for service in services]
        self._children = [*(Child(service, log=True) for service in servers), *self._own]
        self._outputs = selectors.DefaultSelector()
        self._requests = 0

    def run(self, when_ready: Callable[[], None], *, in_order: Callable[[], bool] = lambda: True) -> None:
        """Start everything, call `when_ready` once all of it answers and is `in_order`, and keep it running.

        Raises StartError when something does not come up.
        """
        with self._asked_to_stop():
            try:
                for child in self._own:
                    self._start(child)
                self._write_pids()
                self._until_ready(in_order)
                if not self._requests:
                    when_ready()
                while not self._requests:
                    self._turn()
            finally:
                self._stop()

    def _until_ready(self, in_order: Callable[[], bool]) -> None:
        waiting = [child.service for child in self._own]
        deadline = time.monotonic() + READY_WITHIN
        ask_at = 0.0
        while not self._requests:
            self._turn()
            if time.monotonic() < ask_at:
                continue
            waiting = [service for service in waiting if not service.is_ready()]
            if not waiting and in_order():
                return
            ask_at = time.monotonic() + ASK_EVERY
            if ask_at > deadline:
                names = ", ".join(service.name for service in waiting) or "The market"
                raise StartError(f"{names} did not come up within {READY_WITHIN:.0f} seconds; the lines above say why")

    def _turn(self) -> None:
        """One round: pass on what was said, notice who died, start who is due."""
        for key, _ in self._outputs.select(timeout=0.1):
            self._pass_on(key.data)
        for child in self._children:
            if child.start_again_at is None:
                self._notice_death(child)
            elif time.monotonic() >= child.start_again_at:
                self._start(child)
                self._write_pids()

    def _start(self, child: Child) -> None:
        child.start_again_at = None
        child.started_at = time.monotonic()
        if child.logs_to_file:
            with self._home.log(child.service.name).open("ab") as log:
                child.service.start(log)
            return
        child.service.start(subprocess.PIPE)
        assert child.service.process
        assert child.service.process.stdout
        os.set_blocking(child.service.process.stdout.fileno(), False)
        self._outputs.register(child.service.process.stdout, selectors.EVENT_READ, child)

    def _notice_death(self, child: Child) -> None:
        code = child.service.exit_code()
        if code is None:
            return
        child.service.kill_group()
        self._close_output(child)
        pause = child.pause()
        child.start_again_at = time.monotonic() + pause
        self._terminal.say(f"{child.service.name} {_ended(code)}; starting it again in {pause:.1f} s")
        free = self._home.free_bytes()
        if free < NEARLY_FULL:
            self._terminal.say(f"The disk of {self._home.root} is full ({free // 2**20} MB free): free some space")

    def _pass_on(self, child: Child) -> None:
        assert child.service.process
        assert child.service.process.stdout
        said = child.service.process.stdout.read(65536)
        if not said:
            self._outputs.unregister(child.service.process.stdout)
            return
        *lines, child.unfinished = (child.unfinished + said).split(b"\n")
        for line in lines:
            self._terminal.line(child.service.name, line.decode(errors="replace"))

    def _close_output(self, child: Child) -> None:
        """Pass on a dead child's last words."""
        process = child.service.process
        if process is None or process.stdout is None or process.stdout.closed:
            return
        last = (child.unfinished + (process.stdout.read() or b"")).decode(errors="replace")
        child.unfinished = b""
        for line in last.splitlines():
            self._terminal.line(child.service.name, line)
        if process.stdout in self._outputs.get_map():
            self._outputs.unregister(process.stdout)
        process.stdout.close()

    def _stop(self) -> None:
        """What was started first serves the others and ends last."""
        deadline = time.monotonic() + STOP_WITHIN
        for wave in (self._own[1:], self._own[:1]):
            for child in wave:
                child.service.ask_to_stop()
            while any(child.service.is_running() for child in wave):
                if self._requests > 1 or time.monotonic() > deadline:
                    break
                for key, _ in self._outputs.select(timeout=0.1):
                    self._pass_on(key.data)
            for child in wave:
                if child.service.is_running():
                    self._terminal.say(f"{child.service.name} does not stop and is killed")
                child.service.wait_stopped(deadline=time.monotonic())
                self._close_output(child)
        self._outputs.close()

    def _write_pids(self) -> None:
        """`run/pids.json`: {name: process id} of all that runs, the supervisor included."""
        pids = {child.service.name: child.service.process.pid for child in self._children if child.service.process}
        target = self._home.run / "pids.json"
        draft = target.with_suffix(".new")
        try:
            draft.write_text(json.dumps({"up": os.getpid()} | pids))
            draft.replace(target)
        except OSError as error:
            self._terminal.say(f"Could not write {target}: {error.strerror}")

    @contextmanager
    def _asked_to_stop(self) -> Iterator[None]:
        def request(_number: int, _frame: FrameType | None) -> None:
            self._requests += 1

        wanted = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else nohup asked us to outlive the terminal
            wanted.append(signal.SIGHUP)
        previous = {number: signal.signal(number, request) for number in wanted}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
