"""`python -m orders.brokers.paper`: starts the exchange and says when it is ready.

Belongs here: the command line's face: one ready line, one sentence for what went wrong.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

from .config import Config, read
from .runtime import Runtime
from .services import DEMO_CLIENT, DEMO_KEY, Services
from .store import HomeInUse


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
    except (OSError, socket.gaierror) as error:
        print(f"paper exchange: cannot listen on {config.host}:{config.port}: {error.strerror}", file=sys.stderr)
        return 1
    port = listener.getsockname()[1]

    def ready(services: Services) -> None:
        print(
            f"paper exchange ready: http://{config.host}:{port}  "
            f"clock {services.exchange.clock.mode}, {len(services.market.quotes)} instruments, "
            f"{len(services.book.orders)} orders, api key {DEMO_KEY}, client {DEMO_CLIENT}",
            flush=True,
        )

    try:
        asyncio.run(_run(config, listener, ready))
    except (HomeInUse, ValueError, OSError) as error:
        print(f"paper exchange: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(config: Config, listener: socket.socket, ready: Callable[[Services], None]) -> None:
    await Runtime(config, listener).run(ready)


if __name__ == "__main__":
    sys.exit(main())
