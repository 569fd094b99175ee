"""Who is killed when: processes of the running OMS, found by what its supervisor wrote down, ended with SIGKILL.

Every role has its turn the same number of times, in random order. What was started a moment ago is left to
come up first, or nothing would be killed in the middle of anything.
"""

import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

from benchmarks.stack import Stack

#: What dies → the supervisor's names of it, with all their children.
VICTIMS: dict[str, tuple[str, ...]] = {
    "web": ("web",),
    "worker": ("worker-orders", "worker-rest"),
    "publisher": ("publisher",),
    "broker": ("exchange",),
    "postgres": ("postgres",),
}
#: Seconds of life until a process does real work.
SETTLED_AFTER = {"web": 3.0, "worker": 4.0, "publisher": 2.5, "broker": 1.5, "postgres": 1.5}
LOOK_SECONDS = 0.05


class Killer:
    """Kills each victim `times` times."""

    def __init__(self, stack: Stack, times: int, rng: Random) -> None:
        self.done: Counter[str] = Counter()
        self._stack, self._rng = stack, rng
        self._deck = [victim for victim in VICTIMS for _ in range(times)]
        rng.shuffle(self._deck)
        self._since: dict[str, tuple[int, float]] = {}

    @property
    def left(self) -> int:
        """Kills still to come."""
        return len(self._deck)

    def kill_next(self, pause: float) -> str:
        """After `pause` seconds kill the next victim that is at work; its name."""
        until = time.monotonic() + pause
        while True:
            self._notice()
            victim = next((v for v in self._deck if self._is_settled(v)), None)
            if victim is not None and time.monotonic() >= until:
                break
            time.sleep(LOOK_SECONDS)
        self._deck.remove(victim)
        for name in VICTIMS[victim]:
            self._kill(self._since.pop(name)[0])
        self.done[victim] += 1
        return victim

    def all_up(self) -> bool:
        """Whether every victim has been up for long enough to be at work."""
        self._notice()
        return all(self._is_settled(victim) for victim in VICTIMS)

    def _notice(self) -> None:
        pids = self._stack.pids()
        for names in VICTIMS.values():
            for name in names:
                pid = pids.get(name, 0)
                if not _is_alive(pid):
                    self._since.pop(name, None)
                elif self._since.get(name, (0, 0.0))[0] != pid:
                    self._since[name] = pid, time.monotonic()

    def _is_settled(self, victim: str) -> bool:
        now = time.monotonic()
        return all(
            name in self._since and now - self._since[name][1] >= SETTLED_AFTER[victim] for name in VICTIMS[victim]
        )

    def _kill(self, pid: int) -> None:
        # Each service leads a group; PostgreSQL's own children lead theirs, and are left to notice.
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    """Running, and not a zombie that its supervisor has yet to bury."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
