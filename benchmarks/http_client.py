"""The load: a few keep-alive connections that send and wait, cheap enough not to be measured themselves.

About 30 µs of this process per request; a full HTTP library costs ten times that on the same two cores.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import Any

ORDERS = "/api/v1/orders"
ANSWER_SECONDS = 30.0
#: The n-th order of a client, as the bytes of its request.
Body = Callable[[int], bytes]


class Connection:
    """One HTTP/1.1 connection to loopback."""

    def __init__(self, port: int, token: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        self._headers = f"Host: 127.0.0.1:{port}\r\n{authorization}Content-Type: application/json\r\n"

    def close(self) -> None:
        self._socket.close()

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body. Raises ConnectionError when the server closes in between."""
        head = f"{method} {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        headers = received[:end].lower()
        length = int(headers.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        while len(received) < end + 4 + length:
            received += self._receive()
        return int(headers[9:12]), received[end + 4 :]

    def json(self, method: str, path: str, document: object = None) -> Any:
        """The parsed answer. Raises RuntimeError for any status that is no success."""
        body = b"" if document is None else json.dumps(document).encode()
        status, answer = self.request(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:500].decode(errors='replace')}")
        return json.loads(answer)

    def _receive(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        return chunk


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw: seconds of each order that was accepted, ascending, and how long it all took."""

    latencies: list[float]
    seconds: float
    refusals: list[str]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


def drive(port: int, token: str, bodies: Sequence[Body], *, seconds: float) -> Load:
    """POST orders from one connection per entry of `bodies`, each as fast as it is answered, for `seconds`.

    `bodies[i](n)` is the n-th order of client i.
    """
    began = 0.0

    def begin() -> None:
        nonlocal began
        began = time.perf_counter()

    start = threading.Barrier(len(bodies), action=begin, timeout=ANSWER_SECONDS)
    latencies: list[float] = []
    refusals: list[str] = []

    def client(body: Body) -> None:
        connection = Connection(port, token)
        start.wait()
        received = began
        for n in count():
            sent = received
            if sent > began + seconds:
                break
            status, answer = connection.request("POST", ORDERS, body(n))
            received = time.perf_counter()
            if status == 201:
                latencies.append(received - sent)
            else:
                refusals.append(f"{status} {answer[:300].decode(errors='replace')}")
        connection.close()

    with ThreadPoolExecutor(len(bodies)) as pool:
        list(pool.map(client, bodies))
    return Load(sorted(latencies), time.perf_counter() - began, refusals)
