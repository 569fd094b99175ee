"""The processes of a running OMS: what each is started as, and how it shows that it is up.

`docs/architecture.md` says what each is for. None of them holds state: any may die, and more than one
of each may run but beat (a second beat sends everything twice; periodic tasks take a lock).
"""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import redis

from oms.celery import HEARTBEAT_KEY
from oms.up.embedded import Home, Servers
from oms.up.processes import Program, Service

# Root in a container is the ordinary case, and the queue's messages are JSON, which carries no code.
ROOT_WARNING = "ignore:You're running the worker with superuser privileges"
CALLBACK_PATH = "/api/v1/broker/paper/callback"
POSTBACK_PATH = "/api/v1/broker/paper/postback"


@dataclass(frozen=True)
class Addresses:
    """Where the processes listen, all on loopback."""

    port: int
    exchange_port: int
    stream_port: int

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def exchange(self) -> str:
        return f"http://127.0.0.1:{self.exchange_port}"

    @property
    def stream(self) -> str:
        return f"http://127.0.0.1:{self.stream_port}"


def environment(servers: Servers, addresses: Addresses, *, demo: bool) -> dict[str, str]:
    """What every process, and any other command on this home, must agree on; no secrets."""
    return servers.env() | {
        "OMS_HOME": str(servers.home.root),
        "OMS_DEMO": "1" if demo else "0",
        "OMS_PAPER_EXCHANGE_URL": addresses.exchange,
    }


def services(home: Home, addresses: Addresses, environ: Mapping[str, str], *, demo: bool) -> list[Service]:
    """The services above the servers, in the order in which they are started."""
    python = sys.executable
    celery = [python, "-m", "celery", "--quiet", "--app", "oms"]
    manage = [python, "manage.py"]

    def service(name: str, argv: Sequence[str], ready: Callable[[], bool] = lambda: True) -> Service:
        return Service(name, lambda: Program(argv=argv, env=environ), ready)

    def worker(name: str, queues: str) -> Service:
        hostname = f"{name}@up"
        options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
        size = environ.get("OMS_WORKER_CONCURRENCY", "2")
        argv = [*celery, "worker", "--hostname", hostname, "--queues", queues, "--concurrency", size, *options]
        key = HEARTBEAT_KEY.format(hostname=hostname)
        return service(name, argv, lambda: _exists(environ["REDIS_URL"], key))

    granian = ["--interface", "wsgi", "--workers", environ.get("OMS_WEB_WORKERS", "2"), "--respawn-failed-workers"]
    # A thread is a database connection: more of them than this would wait for each other there.
    granian += ["--blocking-threads", environ.get("OMS_WEB_THREADS", "4")]
    # A worker that is asked to stop while it still loads the application does not hear it.
    granian += ["--workers-kill-timeout", "4"]
    granian += ["--host", "127.0.0.1", "--port", str(addresses.port), "--log-level", "warning", "--no-ws"]
    uvicorn = ["--host", "127.0.0.1", "--port", str(addresses.stream_port), "--log-level", "warning"]
    exchange = ["--home", str(home.root / "exchange"), "--port", str(addresses.exchange_port)]
    exchange += ["--postback-url", addresses.web + POSTBACK_PATH, "--redirect-url", addresses.web + CALLBACK_PATH]
    exchange += shlex.split(environ.get("OMS_PAPER_OPTIONS", ""))
    paper = [python, "-m", "orders.brokers.paper", *exchange]
    return [
        *([service("exchange", paper, lambda: _answers(addresses.exchange))] if demo else []),
        service("web", [python, "-m", "granian", *granian, "oms.wsgi:application"], lambda: _live(addresses.web)),
        # Submissions and amendments have workers of their own: they never wait behind a poll or an export.
        worker("worker-orders", "orders"),
        worker("worker-rest", "market,compliance,default"),
        service("publisher", [*manage, "publish_events"]),
        service("beat", [*celery, "beat", "--loglevel", "INFO", "--schedule", str(home.run / "beat"), "--pidfile="]),
        service("stream", [python, "-m", "uvicorn", *uvicorn, "oms.asgi:application"], lambda: _live(addresses.stream)),
    ]


def manage(*arguments: str, environ: Mapping[str, str]) -> Program:
    """One of the project's own commands, as a process with these variables."""
    return Program(argv=[sys.executable, "manage.py", *arguments], env=environ)


def child_environment(shared: Mapping[str, str], home: Home) -> dict[str, str]:
    """Ours, what is shared, and how a child talks to a supervisor."""
    metrics = home.run / "metrics"
    return (
        {"OMS_LOG_FORMAT": "console", "PYTHONWARNINGS": ROOT_WARNING}
        | dict(os.environ)
        | dict(shared)
        | {"PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "oms.settings", "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    )


def _live(address: str) -> bool:
    try:
        with urlopen(f"{address}/health/live", timeout=1) as answer:  # noqa: S310  an address of our own
            return bool(answer.status == 200)
    except (URLError, TimeoutError, ConnectionError):
        return False


def _answers(address: str) -> bool:
    """Whatever the answer is: the exchange speaks the broker's routes only."""
    try:
        urlopen(address, timeout=1).close()  # noqa: S310  an address of our own
    except HTTPError:
        return True
    except (URLError, TimeoutError, ConnectionError):
        return False
    return True


def _exists(redis_url: str, key: str) -> bool:
    with redis.Redis.from_url(redis_url) as client:
        try:
            return bool(client.exists(key))
        except redis.RedisError:
            return False
