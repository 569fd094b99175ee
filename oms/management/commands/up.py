"""`manage.py up`: the whole system on this machine, from an empty folder to the first order.

Checks that it can start, starts the servers, brings the database up to date, loads the demo on the
first start, and hands over to the supervisor. What runs is in `oms/up/system.py`, where it runs in
`oms/embedded`.
"""

import errno
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from oms.up import embedded, welcome
from oms.up.embedded import Home, Servers
from oms.up.processes import Program, StartError
from oms.up.supervisor import Supervisor
from oms.up.system import Addresses, child_environment, environment, manage, services
from oms.up.terminal import Terminal
from oms.up.welcome import FirstOrder


class Command(BaseCommand):
    help = "Run the whole OMS: database, queue, web, workers, publisher, streams and the paper exchange."
    requires_system_checks: list[str] = []  # the processes that it starts are checked, with their settings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--home", type=Path, default=settings.OMS_HOME, help="folder for all data")
        parser.add_argument("--port", type=int, default=8000, help="API and admin site")
        parser.add_argument("--exchange-port", type=int, default=8100, help="paper exchange")
        parser.add_argument("--stream-port", type=int, default=8001, help="event streams")
        parser.add_argument("--no-demo", action="store_true", help="no demo data, no paper exchange")
        parser.add_argument("--reset", action="store_true", help="delete all data of this home first")

    def handle(self, *_arguments: str, **options: Any) -> None:
        home = Home(options["home"])
        os.chdir(settings.BASE_DIR)
        addresses = Addresses(options["port"], options["exchange_port"], options["stream_port"])
        demo = not options["no_demo"]
        # Until the supervisor takes over, a SIGTERM unwinds like a Ctrl-C.
        signal.signal(signal.SIGTERM, _interrupt)
        try:
            with home.locked() as lock:
                require_free_ports(addresses, demo=demo)
                if options["reset"]:
                    reset(home)
                require_mode(home, demo=demo)
                with embedded.started(home, lock=lock) as servers:
                    self._run(servers, addresses, demo=demo)
        except StartError as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise CommandError(f"The disk of {home.root} is full: free some space and start again") from None
        except KeyboardInterrupt:
            raise CommandError("Stopped before everything was up") from None

    def _run(self, servers: Servers, addresses: Addresses, *, demo: bool) -> None:
        home = servers.home
        shared = environment(servers, addresses, demo=demo)
        environ = child_environment(shared, home)
        terminal = Terminal(sys.stdout)
        metrics = Path(environ["PROMETHEUS_MULTIPROC_DIR"])
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir()
        with announced(home, shared):
            once(manage("prepare", *(["--demo"] if demo else []), environ=environ), "prepare")
            supervisor = Supervisor(home, servers.services, services(home, addresses, environ, demo=demo), terminal)
            first = FirstOrder(addresses.web) if demo else None
            supervisor.run(
                lambda: terminal.block(welcome.text(home, addresses, first)),
                in_order=lambda: first is None or first.is_possible(),
            )
            terminal.say("Stopped")


def require_free_ports(addresses: Addresses, *, demo: bool) -> None:
    """Raises StartError naming the option that helps."""
    wanted = {"--port": addresses.port, "--stream-port": addresses.stream_port}
    if demo:
        wanted["--exchange-port"] = addresses.exchange_port
    if len(set(wanted.values())) < len(wanted):
        raise StartError(f"{', '.join(wanted)} must be different ports")
    for option, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except (OSError, OverflowError) as error:
                taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
                reason = "is taken" if taken else f"cannot be used ({error})"
                raise StartError(f"Port {port} {reason}: choose another one with {option}") from None


def require_mode(home: Home, *, demo: bool) -> None:
    """A home is a demo or it is not, for life: known logins never come to real data.

    Raises StartError.
    """
    known = home.facts().get("demo")
    if known is not None and known != demo:
        if known:
            raise StartError(f"{home.root} holds a demo: start it without --no-demo, or choose another --home")
        raise StartError(f"{home.root} holds no demo: start it with --no-demo, or choose another --home")
    if demo and os.environ.get("DATABASE_URL") and os.environ.get("OMS_DEMO") != "1":
        raise StartError(
            "DATABASE_URL is set and the demo's data would go there: give --no-demo, or set OMS_DEMO=1 if you want that"
        )
    if not demo:
        missing = [name for name in ("OMS_SECRET_KEY", "OMS_FERNET_KEYS") if not os.environ.get(name)]
        if missing:
            names = " and ".join(missing)
            raise StartError(f"Without the demo, {names} must be set in the environment, to secrets of your own")
    home.remember(demo=demo)


def reset(home: Home) -> None:
    """Delete the home's data: a demo's at once, anything else after the folder's name was typed.

    Raises StartError when the data is not in the home, or it was not confirmed.
    """
    if os.environ.get("DATABASE_URL"):
        raise StartError("DATABASE_URL is set: --reset deletes embedded data only")
    if home.facts().get("demo") is False:
        if not sys.stdin.isatty():
            raise StartError(f"{home.root} is not a demo: --reset asks before it deletes it, at a terminal")
        question = f"This deletes all orders in {home.root} and their audit trail. Type the folder's name to do it: "
        if input(question) != home.root.name:
            raise StartError("Nothing was deleted")
    home.wipe()


def once(program: Program, name: str) -> None:
    """Run to the end, its output ours. Raises StartError when it fails."""
    process = program.start(None)
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if code:
        raise StartError(f"`manage.py {name}` failed with exit code {code}; its lines above say why")


@contextmanager
def announced(home: Home, shared: dict[str, str]) -> Iterator[None]:
    """Tell other commands on this home where everything is, for as long as it is there (oms/settings.py)."""
    file = home.run / "environment.json"
    file.write_text(json.dumps(shared))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        (home.run / "pids.json").unlink(missing_ok=True)


def _interrupt(*_signal: object) -> None:
    raise KeyboardInterrupt
