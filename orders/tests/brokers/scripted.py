"""A tiny HTTP server that misbehaves on cue: what a broker's network does and no simulated broker can.

Each request is answered by the next step of the script; the last one repeats. Everything received is kept.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Step = Callable[[socket.socket, threading.Event], None]


def answer(body: bytes | str, *, status: int = 200, content_type: str = "application/json", **headers: str) -> Step:
    """One whole response."""
    content = body.encode() if isinstance(body, str) else body
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(content)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]

    def step(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    return step


def drop(connection: socket.socket, _over: threading.Event) -> None:
    """Hang up without a word."""
    connection.shutdown(socket.SHUT_RDWR)


def stall(_connection: socket.socket, over: threading.Event) -> None:
    """Say nothing until the test is over."""
    over.wait()


def trickle(connection: socket.socket, over: threading.Event) -> None:
    """One byte of an endless header at a time, each well within any read timeout."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not over.wait(0.02):
        connection.sendall(b"x")


@dataclass
class Server:
    """`requests` holds (method, target, headers, body) of everything received."""

    root: str
    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    connections: int = 0

    @property
    def calls(self) -> list[str]:
        return [f"{method} {target}" for method, target, _, _ in self.requests]


@contextmanager
def scripted_server(*steps: Step) -> Iterator[Server]:
    """A server on a free loopback port that answers request n by step n."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while (request := _receive(connection)) is not None:
                server.requests.append(request)
                try:
                    steps[min(len(server.requests), len(steps)) - 1](connection, over)
                except OSError:
                    return

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            connection.settimeout(10)
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            thread.start()
            threads.append(thread)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)


def _receive(connection: socket.socket) -> tuple[str, str, dict[str, str], str] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            chunk = connection.recv(65536)
        except OSError:
            return None
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, target, _ = first.split(" ")
    return method, target, headers, body.decode()
