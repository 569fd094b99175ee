"""`python -m orders.brokers.paper`: starts the exchange and says when it is ready.

Belongs here: the command line's face: one ready line, one sentence for what went wrong.
"""

import asyncio
import logging
import socket
import sqlite3
import sys
from collections.abc import Callable

from .config import Config, read
from .runtime import Runtime
from .services import DEMO_CLIENT, DEMO_KEY, Services
from .store import HomeInUseError


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((config.host, config.port))
    return listener


def main() -> int:
    """Run until a signal. 0 after a clean end, 1 when it could not start or go on."""
    config = read()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        listener = _listen(config)
    except OSError as error:
        return _sorry(f"cannot listen on {config.host}:{config.port}: {error.strerror}")
    address = f"http://{config.host}:{listener.getsockname()[1]}"

    def ready(services: Services) -> None:
        sys.stdout.write(
            f"paper exchange ready: {address}  clock {services.exchange.clock.mode}, "
            f"{len(services.market.quotes)} instruments, {len(services.book.orders)} orders, "
            f"api key {DEMO_KEY}, client {DEMO_CLIENT}\n"
        )
        sys.stdout.flush()

    try:
        asyncio.run(_run(config, listener, ready))
    except (HomeInUseError, ValueError, OSError, sqlite3.Error) as error:
        return _sorry(str(error))
    return 0


def _sorry(sentence: str) -> int:
    sys.stderr.write(f"paper exchange: {sentence}\n")
    return 1


async def _run(config: Config, listener: socket.socket, ready: Callable[[Services], None]) -> None:
    await Runtime(config, listener).run(ready)


if __name__ == "__main__":
    sys.exit(main())
