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
from contextlib import contextmanager, suppress
from pathlib import Path

from oms.up.processes import StartError

MINIMUM_FREE_BYTES = 300 * 1024 * 1024  # a new database, its write-ahead log and a day's demo
ORPHANS_SECONDS = 20.0  # how long servers whose supervisor was killed may take to shut down
MARKER = "oms-home.json"
NOT_OURS = {"lost+found"}  # of a file system mounted as the home


class Home:
    """Paths inside the folder; nothing is created before the lock is taken."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.run = self.root / "run"
        self._marker = self.root / MARKER
        self._lock = self.root / "lock"

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the home for this process; gives the lock's descriptor for children to keep open.

        Raises StartError when another process holds it, or when it is some other folder.
        """
        self._create()
        descriptor = self._take()
        try:
            yield descriptor
        finally:
            self._lock.unlink(missing_ok=True)
            os.close(descriptor)

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"

    def last_log_line(self, name: str) -> str:
        lines = self.log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def remember(self, **facts: object) -> None:
        """Add to what a later start of this home needs to know."""
        draft = self._marker.with_suffix(".new")
        draft.write_text(json.dumps(self.facts() | facts))
        draft.replace(self._marker)

    def facts(self) -> dict[str, object]:
        """What `remember` was told; empty for a new home."""
        if not self._marker.exists():
            return {}
        loaded: dict[str, object] = json.loads(self._marker.read_text())
        return loaded

    def wipe(self) -> None:
        """Delete all that the home holds; the caller holds its lock and keeps it."""
        for entry in self.root.iterdir():
            if entry.name in {self._lock.name, MARKER, *NOT_OURS}:
                continue
            if entry.is_symlink():  # PostgreSQL's data, where it had to live elsewhere
                elsewhere = entry.resolve()
                shutil.rmtree(elsewhere, ignore_errors=True)
                with suppress(OSError):  # other homes' data may be beside it
                    elsewhere.parent.rmdir()
                entry.unlink()
            elif entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        self._marker.write_text("{}")
        self._create()

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
        # 0711 for root: the user that PostgreSQL is dropped to must get through to its own folder.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            if not self.root.exists():
                self.root.mkdir(mode=mode, parents=True)
            if not self._marker.exists():
                self._claim()
                self.root.chmod(mode)
            for folder in (self.run, self.root / "log"):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise StartError(f"Cannot use {self.root} as home: {reason}") from None

    def _claim(self) -> None:
        """Make an empty folder a home; never move into, or later wipe, somebody's other folder."""
        if any(entry.name not in NOT_OURS for entry in self.root.iterdir()):
            raise StartError(f"{self.root} is neither empty nor the home of an OMS: choose another folder with --home")
        self._marker.write_text("{}")

    def _take(self) -> int:
        deadline = time.monotonic() + ORPHANS_SECONDS
        while True:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_nlink:  # else its last holder removed it while we opened it
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                    return descriptor
                holder = 0
            except BlockingIOError:
                holder = int(os.pread(descriptor, 20, 0) or 0)
            os.close(descriptor)
            # A dead holder left servers that are still shutting down: they keep the lock until they end.
            if _is_alive(holder) or time.monotonic() > deadline:
                raise StartError(
                    f"{self.root} is in use by process {holder}: stop it, or choose another folder with --home"
                )
            time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
