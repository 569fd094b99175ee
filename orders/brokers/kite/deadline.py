"""A transport whose calls end in time, whatever the server does.

httpx bounds each read on its own, so a server that trickles bytes could hold a worker for ever. Here
every connect, read and write of one call shares one deadline.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

#: Shorter than common servers' keep-alive, so that a reused connection is rarely one being closed.
KEEPALIVE_SECONDS = 4.0
#: More than one process ever has calls under way.
MAX_CONNECTIONS = 20


class Deadline(threading.local):
    """When the call that this thread is in must be over, on the monotonic clock."""

    ends_at: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self.ends_at = time.monotonic() + seconds
        try:
            yield
        finally:
            self.ends_at = None

    def left(self, at_most: float | None, late: type[Exception]) -> float | None:
        """Seconds that the next step may take. Raises `late` when there are none."""
        if self.ends_at is None:
            return at_most
        seconds = self.ends_at - time.monotonic()
        if seconds <= 0:
            raise late("the call took too long altogether")
        return seconds if at_most is None else min(seconds, at_most)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadline.left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options), self._deadline)


class BoundedTransport(httpx.HTTPTransport):
    """HTTP/1.1 with keep-alive from one local address; it repeats nothing by itself."""

    def __init__(self, deadline: Deadline, *, local_address: str) -> None:
        super().__init__(trust_env=False)
        # httpx has no public way to hand its pool a network backend.
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            keepalive_expiry=KEEPALIVE_SECONDS,
            max_connections=MAX_CONNECTIONS,
            local_address=local_address,
            network_backend=_Backend(deadline),
        )
