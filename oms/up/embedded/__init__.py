"""PostgreSQL and Valkey from Python wheels, started as children of this process.

`manage.py up` and the test run both use it, each with its own home. With DATABASE_URL or REDIS_URL in
the environment that server is not embedded. What runs on top of the servers is the supervisor's.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from oms.up.embedded.home import Home
from oms.up.embedded.postgres import Postgres
from oms.up.embedded.valkey import Valkey
from oms.up.processes import Service, StartError, wait_ready

__all__ = ["Home", "Servers", "StartError", "servers", "started"]

START_SECONDS = 60.0  # crash recovery of a large write-ahead log takes its time
STOP_SECONDS = 15.0


@dataclass
class Servers:
    """The running servers: where they answer, and the embedded ones as services in starting order."""

    home: Home
    database_url: str
    redis_url: str
    services: list[Service] = field(default_factory=list)

    def env(self) -> dict[str, str]:
        """The variables that point a Django process at these servers."""
        return {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}


@contextmanager
def servers(root: Path | str, *, durable: bool = True) -> Iterator[Servers]:
    """Run the servers under the folder `root` until the block ends; nothing is left running after it.

    `durable=False` gives up crash safety for speed: for tests only.
    Raises StartError, one sentence, when the home is in use, the disk is full, a binary is missing or a
    server does not start.
    """
    home = Home(Path(root))
    with home.locked() as lock, started(home, lock=lock, durable=durable) as running:
        yield running


@contextmanager
def started(home: Home, *, lock: int, durable: bool = True) -> Iterator[Servers]:
    """`servers` for who holds the home's lock already."""
    home.require_room()
    running = Servers(home, os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""))
    with ExitStack() as stack:
        if not running.redis_url:
            valkey = stack.enter_context(Valkey.prepared(home, lock=lock))
            stack.enter_context(_answering(home, valkey.service))
            running.services.append(valkey.service)
            running.redis_url = valkey.url
        if not running.database_url:
            postgres = stack.enter_context(Postgres.prepared(home, lock=lock, durable=durable))
            stack.enter_context(_answering(home, postgres.service))
            running.services.append(postgres.service)
            postgres.create_database()
            running.database_url = postgres.url
        yield running


@contextmanager
def _answering(home: Home, service: Service) -> Iterator[None]:
    try:
        with home.log(service.name).open("wb") as log:
            service.start(log)
        try:
            wait_ready(service, seconds=START_SECONDS)
        except StartError as error:
            raise StartError(f"{error}: {home.last_log_line(service.name)}") from None
        yield
    finally:
        service.ask_to_stop()
        service.wait_stopped(deadline=time.monotonic() + STOP_SECONDS)
