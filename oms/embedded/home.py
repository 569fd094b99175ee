"""The home of one running OMS: the folder with its data, sockets, logs and lock.

Knows the layout, who holds the lock and whether there is room; knows nothing of what runs in it.
"""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oms.processes import StartError

MINIMUM_FREE_BYTES = 300 * 1024 * 1024  # a new database, its write-ahead log and a day's demo
ORPHANS_SECONDS = 20.0  # how long servers whose supervisor was killed may take to shut down
MARKER = "oms-home.json"


class Home:
    """Paths inside the folder; nothing is created before the lock is taken."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.run = self.root / "run"
        self._marker = self.root / MARKER

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the home for this process; gives the lock's descriptor for children to keep open.

        Raises StartError when another process holds it, when it is no home, or when the disk is full.
        """
        self._create()
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield descriptor
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"

    def last_log_line(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def is_new(self) -> bool:
        return not self._marker.exists()

    def remember(self, **facts: object) -> None:
        """Write the marker that makes the folder a home, with what a later start needs to know."""
        draft = self._marker.with_suffix(".new")
        draft.write_text(json.dumps(facts))
        draft.replace(self._marker)

    def facts(self) -> dict[str, object]:
        """What `remember` wrote; empty for a new home."""
        if self.is_new():
            return {}
        loaded: dict[str, object] = json.loads(self._marker.read_text())
        return loaded

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free

    def require_room(self) -> None:
        """Raises StartError when the disk is (nearly) full."""
        free = self.free_bytes()
        if free < MINIMUM_FREE_BYTES:
            raise StartError(
                f"The disk of {self.root} is full: {free // 2**20} MB free, at least {MINIMUM_FREE_BYTES // 2**20} MB"
                " needed; free some space or choose another folder with --home"
            )

    def _create(self) -> None:
        # 0711 for root: the account that PostgreSQL is dropped to must get through to its own folder.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            if not self.root.exists():
                self.root.mkdir(mode=mode, parents=True)
                self.root.chmod(mode)
            for folder in (self.run, self.root / "log"):
                folder.mkdir(mode=0o700, exist_ok=True)
            self.require_room()
        except OSError as error:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise StartError(f"Cannot use {self.root} as home: {reason}") from None

    def _take(self, descriptor: int) -> None:
        deadline = time.monotonic() + ORPHANS_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode() or "0"
            # A dead holder left servers that are still shutting down: they keep the lock until they end.
            if _is_alive(int(holder)) or time.monotonic() > deadline:
                raise StartError(
                    f"{self.root} is in use by process {holder}: stop it, or choose another folder with --home"
                )
            time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
