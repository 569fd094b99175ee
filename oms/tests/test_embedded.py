"""The embedded servers: they answer, keep what they were told, and say why when they do not start."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from oms.testing import temporary_home
from oms.up import embedded
from oms.up.embedded import StartError
from oms.up.embedded import home as home_module


@pytest.fixture(autouse=True)
def nothing_external(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def home() -> Iterator[Path]:
    with temporary_home() as folder:
        yield folder


def processes_of(home: Path) -> list[str]:
    """Command lines of what runs with this home, read from the system."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in line and f"{entry.parent.name}" != str(os.getpid()):
            found.append(line)
    return found


def test_data_survives_a_restart_and_nothing_stays_behind(home: Path) -> None:
    with embedded.servers(home) as servers:
        with psycopg.connect(servers.database_url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
        with redis.Redis.from_url(servers.redis_url) as client:
            client.set("kept", "42")
        assert processes_of(home)
    assert processes_of(home) == []
    assert not (home / "lock").exists()

    with embedded.servers(home) as servers:
        with psycopg.connect(servers.database_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        with redis.Redis.from_url(servers.redis_url) as client:
            assert client.get("kept") == b"42"


def test_a_long_path_in_a_folder_closed_to_others(tmp_path: Path) -> None:
    """Sockets need short paths, and root's PostgreSQL an account that cannot look into a 0700 folder."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    home = closed / ("long" * 30)
    with embedded.servers(home, durable=False) as servers, psycopg.connect(servers.database_url) as connection:
        (sockets,) = connection.execute("SHOW unix_socket_directories").fetchone() or ("",)
        assert len(sockets) < 60
        assert redis.Redis.from_url(servers.redis_url).ping()
    home_module.Home(home).wipe()
    assert not Path(sockets).exists()
    assert not (home / "postgres").exists()


def test_a_second_start_on_the_same_home_is_refused(home: Path) -> None:
    with (
        embedded.servers(home, durable=False),
        pytest.raises(StartError, match=f"is in use by process {os.getpid()}: stop it"),
        embedded.servers(home),
    ):
        pass


HOLD = """
import sys
from oms.up import embedded
with embedded.servers(sys.argv[1], durable=False):
    print("up", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_owner_takes_its_servers_along_and_the_home_starts_again(home: Path) -> None:
    with holder(home) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Waits for the old servers to finish their shutdown instead of giving up on the lock that they keep.
    with embedded.servers(home, durable=False) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert processes_of(home) == []


def test_a_postmaster_number_taken_by_another_process_does_not_keep_the_database_down(home: Path) -> None:
    with embedded.servers(home, durable=False) as servers:
        data = home.joinpath("postgres", "data")
        written = (data / "postmaster.pid").read_text()
    stale = "\n".join([str(os.getppid()), *written.split("\n")[1:]])
    (data / "postmaster.pid").write_text(stale)
    os.chown(data / "postmaster.pid", data.stat().st_uid, data.stat().st_gid)
    with embedded.servers(home, durable=False) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("OMS_PG_BIN", "/nowhere", r"No PostgreSQL binaries in OMS_PG_BIN=/nowhere: run `make install`"),
        ("OMS_REDIS_SERVER", "/nowhere", r"No Valkey binary at OMS_REDIS_SERVER=/nowhere: run `make install`"),
    ],
)
def test_a_missing_binary_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartError, match=sentence), embedded.servers(home):
        pass
    assert processes_of(home) == []


def test_data_that_cannot_be_used_is_said(home: Path) -> None:
    with embedded.servers(home, durable=False):
        pass
    data = home / "postgres" / "data"
    version = data / "PG_VERSION"

    with (data / "postgresql.conf").open("a") as settings:
        settings.write("nonsense = on\n")
    quoted = "postgres ended with exit code 1 while starting: .*postgresql.conf"
    with pytest.raises(StartError, match=quoted), embedded.servers(home):
        pass
    version.write_text("9\n")
    with (
        pytest.raises(StartError, match="was written by PostgreSQL 9 and the binaries are"),
        embedded.servers(home),
    ):
        pass
    version.unlink()
    with pytest.raises(StartError, match="is damaged: restore it from a backup"), embedded.servers(home):
        pass


def test_a_full_disk_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_module, "MINIMUM_FREE_BYTES", 2**60)
    with pytest.raises(StartError, match=r"The disk of .* is full: \d+ MB free"), embedded.servers(home):
        pass


def test_somebody_elses_folder_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StartError, match="is neither empty nor the home of an OMS"), embedded.servers(tmp_path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_given_servers_are_used_instead(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/oms")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379/3")
    with embedded.servers(home) as servers:
        assert servers.env() == {"DATABASE_URL": "postgresql://elsewhere/oms", "REDIS_URL": "redis://elsewhere:6379/3"}
        assert servers.services == []
        assert processes_of(home) == []
