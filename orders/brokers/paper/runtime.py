"""Running the exchange: sockets, signals, the tick, orderly and disorderly ends.

Belongs here: everything that needs the event loop. A step that fails after its order was taken
ends the process: memory would differ from the file, and a restart makes them equal again.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import create_app
from .config import Config
from .services import Services, build

logger = logging.getLogger(__name__)
SAVE_EVERY_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 0.25


class Protocol(H11Protocol):
    """Gives requests their transport, so that the gate can hang up on them."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Server(uvicorn.Server):
    """A server whose signals are handled by `run`, so that its end is the process's clean end."""

    on_ready: Callable[[], None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Runtime:
    """One exchange on one socket."""

    def __init__(self, config: Config, listener: socket.socket) -> None:
        self._config, self._listener = config, listener
        self._failed: Exception | None = None
        self._server: Server | None = None
        self._services: Services | None = None
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[Services], None]) -> None:
        """Serve until SIGTERM or SIGINT. Raises what broke a step, and what `build` raises."""
        services = self._services = build(self._config, self._schedule)
        server = self._server = Server(
            uvicorn.Config(
                create_app(services),
                http=Protocol,
                ws="websockets-sansio",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        services.postbacks.start()
        tasks = [asyncio.create_task(self._keep(self._tick)), asyncio.create_task(self._keep(self._save))]
        server.on_ready = lambda: ready(services)
        await server.serve([self._listener])
        self._stopping.set()
        await asyncio.gather(*tasks)
        await services.postbacks.stop()
        if self._failed:
            raise self._failed
        services.save_market()
        services.store.close()

    def _stop(self) -> None:
        self._stopping.set()
        if self._server:
            self._server.should_exit = True

    def _schedule(self, seconds: float, step: Callable[[str], None], order_id: str) -> None:
        asyncio.get_running_loop().call_later(seconds, self._step, step, order_id)

    def _step(self, step: Callable[[str], None], order_id: str) -> None:
        if self._failed or not self._services or order_id not in self._services.book.orders:
            return
        try:
            step(order_id)
        except Exception as error:  # noqa: BLE001 - boundary of the process, see the docstring above
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        logger.error("the exchange cannot go on", exc_info=error)
        self._failed = error
        self._stop()

    async def _keep(self, work: Callable[[Services], float]) -> None:
        """Do `work` again and again; it returns the seconds until the next time."""
        assert self._services
        while not self._stopping.is_set():
            try:
                pause = work(self._services)
            except Exception as error:  # noqa: BLE001 - boundary of the process, see the docstring above
                self._fail(error)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    @staticmethod
    def _tick(services: Services) -> float:
        """Tick when it is time; look often enough to notice that the pace was changed."""
        now = time.monotonic()
        if now >= services.ticked_at + services.tick_seconds:
            services.ticked_at = now
            services.tick()
        rest = services.ticked_at + services.tick_seconds - time.monotonic()
        return max(0.0, min(rest, LONGEST_PAUSE_SECONDS))

    @staticmethod
    def _save(services: Services) -> float:
        services.save_market()
        return SAVE_EVERY_SECONDS
