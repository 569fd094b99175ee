"""HTTP/1.1 calls to one server over kept connections, each call over in time whatever the server does.

Belongs here: sockets, bytes, and what certainly did not leave. A general client costs several times the CPU of such
a call, bounds each read by itself and so lets a server that trickles bytes hold a worker for ever, and offers no way
to share one deadline among the steps of a call (docs/adr/0021).
"""

import gzip
import io
import select
import socket
import ssl
import time
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPResponse
from typing import IO, Any
from urllib.parse import SplitResult, urlsplit

import httpx

#: Shorter than common servers' keep-alive, so that a kept connection is rarely one being closed.
KEEPALIVE_SECONDS = 4.0
#: More than one process ever has calls under way.
MOST_KEPT = 20
CONNECT_SECONDS = 2.0


class NotSetUp(ValueError):
    """The address or a header is none of HTTP's: nothing has left, nor will as long as it is what it is."""


class NotConnected(OSError):
    """There was no connection: nothing of the call has left."""


class Dropped(OSError):
    """The connection broke, or what came was no HTTP."""


class TookTooLong(OSError):
    """The time of the call was over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: its content decompressed, the names of its headers in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Caller:
    """Makes the calls. Threads may share it, processes may not."""

    def __init__(self, root_url: str, *, local_address: str) -> None:
        self._url = url = urlsplit(root_url)
        self._is_secure, self._host, self._base = url.scheme == "https", url.hostname, url.path.rstrip("/")
        self._is_address = _is_address(url)
        self._local_address = local_address
        self._kept: deque[tuple[float, _Line]] = deque(maxlen=MOST_KEPT)

    def call(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b"", ends_at: float
    ) -> Answer:
        """One call, made once, that is over by `ends_at` on the monotonic clock.

        Raises NotSetUp, NotConnected, Dropped or TookTooLong, and nothing else.
        """
        sent = self._request(method, target, headers, body)
        line = self._kept_line() or self._connect(ends_at)
        line.ends_at = ends_at
        try:
            line.sendall(sent)
            response = HTTPResponse(line, method=method)  # type: ignore[arg-type]  # it asks for makefile() only
            response.begin()
            content = response.read()
        except TimeoutError as error:
            line.close()
            raise TookTooLong("the call took too long altogether") from error
        except Exception as error:  # whatever it is: the call may have arrived
            line.close()
            raise Dropped(f"{type(error).__name__}: {error}") from error
        if response.will_close:
            line.close()
        else:
            self._kept.append((time.monotonic(), line))
        if response.headers.get("Content-Encoding") == "gzip":
            content = _unzipped(content)
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    def close(self) -> None:
        """Close the kept connections."""
        while self._kept:
            self._kept.pop()[1].close()

    def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
        if not self._is_address:
            raise NotSetUp(f"{self._url.geturl()!r} is no address of a web server")
        lines = [
            f"{method} {self._base}{target} HTTP/1.1",
            f"Host: {self._url.netloc.rpartition('@')[2]}",
            "Accept-Encoding: gzip",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        if any("\r" in line or "\n" in line for line in lines):
            raise NotSetUp("a line break in a header")
        try:
            return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        except UnicodeEncodeError:
            raise NotSetUp("a letter in a header that HTTP does not know") from None

    def _kept_line(self) -> "_Line | None":
        """The connection used last, unless the server may be closing it."""
        while self._kept:
            try:
                since, line = self._kept.pop()
            except IndexError:  # another thread was quicker
                return None
            if time.monotonic() - since < KEEPALIVE_SECONDS and not line.has_ended():
                return line
            line.close()
        return None

    def _connect(self, ends_at: float) -> "_Line":
        patience = max(min(CONNECT_SECONDS, ends_at - time.monotonic()), 0.001)
        port = self._url.port or (443 if self._is_secure else 80)
        try:
            sock = socket.create_connection((self._host or "", port), patience, (self._local_address, 0))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_secure:
                sock = _tls().wrap_socket(sock, server_hostname=self._host)
        except (OSError, ValueError) as error:
            raise NotConnected(f"{type(error).__name__}: {error}") from error
        return _Line(sock)


class _Line:
    """A socket whose every step takes at most what is left of the call's time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.ends_at = 0.0

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._left())
        self._sock.sendall(data)

    def read_into(self, buffer: Any) -> int:
        self._sock.settimeout(self._left())
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> IO[bytes]:
        return io.BufferedReader(_Reader(self), 65536)

    def has_ended(self) -> bool:
        """Whether there is something to read though nothing was asked: the server's goodbye."""
        poll = select.poll()  # `select` knows no descriptor above 1023
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self._sock.close()

    def _left(self) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _Reader(io.RawIOBase):
    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.read_into(buffer)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def _is_address(url: SplitResult) -> bool:
    try:
        (url.hostname or "").encode("idna")
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # no name of a host, or no number of a port
        return False


def _unzipped(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise Dropped(f"an answer that cannot be decompressed: {error}") from error
