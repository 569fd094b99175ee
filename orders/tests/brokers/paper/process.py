"""A real paper exchange process for tests of anybody's: start, control, kill, restart.

Belongs here: the process and its control routes. What a test does with Kite's routes it does with
a client of its own.
"""

import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

CONTROL_KEY = "paper-control"
START_SECONDS = 20.0
T = TypeVar("T")
ROOT_DIRECTORY = Path(__file__).resolve().parents[4]


class PaperExchange:
    """The process. `root` is its address, which stays the same over a restart."""

    def __init__(self, home: Path, port: int, options: dict[str, Any]) -> None:
        self.home, self.port, self._options = home, port, options
        self._process: subprocess.Popen[str] | None = None
        self._client = httpx.Client(headers={"X-Paper-Control": CONTROL_KEY}, trust_env=False, timeout=30)
        self.ready_line = ""

    @property
    def root(self) -> str:
        """The host root, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start and wait until ready. Raises RuntimeError with what it said when it is not."""
        process = subprocess.Popen(
            [sys.executable, "-m", "orders.brokers.paper", *self._arguments()],
            cwd=ROOT_DIRECTORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process = process
        assert process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(START_SECONDS) else ""
        if " ready: http://" not in line:
            self.kill()
            raise RuntimeError(f"the paper exchange did not start: {line}")
        self.ready_line = line
        self.port = int(line.split("http://")[1].split()[0].rsplit(":", 1)[1])

    def _arguments(self) -> Iterator[str]:
        yield from ("--home", str(self.home), "--port", str(self.port))
        for name, value in self._options.items():
            option = "--" + name.replace("_", "-")
            if value is True:
                yield option
            elif value is False:
                yield f"--no-{option[2:]}"
            else:
                yield from (option, str(value))

    def control(self, method: str, path: str, json: Any = None) -> Any:
        """Call a control route: `control("POST", "/prices", {...})`. Raises for a refusal."""
        answer = self._client.request(method, f"{self.root}/control{path}", json=json)
        if answer.is_error:
            raise ValueError(f"{answer.status_code}: {answer.json()['error']}")
        return answer.json()

    def request_token(self, api_key: str = "paper", user_id: str = "PX0001") -> str:
        """A login as the browser makes it; the app must have a redirect address."""
        answer = self._client.get(f"{self.root}/connect/login", params={"v": 3, "api_key": api_key, "user_id": user_id})
        return httpx.URL(answer.headers["location"]).params["request_token"]

    def kill(self) -> None:
        """SIGKILL, and nothing else."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended by itself; the exit code."""
        return self._end(None)

    def restart(self) -> None:
        """Kill if need be, and start on the same home and port."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._client.close()

    def _end(self, number: signal.Signals | None) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if number is not None:
            process.send_signal(number)
        try:
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdout:
            process.stdout.close()
        return code


@contextmanager
def paper_exchange(home: Path, *, port: int = 0, **options: Any) -> Iterator[PaperExchange]:
    """A started exchange on `home`; options as on the command line, `rate_limits=False` and so on.

    The demo app's redirect address is set, so that `request_token` works.
    """
    options.setdefault("redirect_url", "http://127.0.0.1:9/broker/callback")
    exchange = PaperExchange(Path(home), port, options)
    try:
        exchange.start()
        yield exchange
    finally:
        exchange.close()


def wait_for(read: Callable[[], T], wanted: Callable[[T], Any], seconds: float = 10) -> T:
    """Read until it is as wanted; the last reading. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = read()
        if wanted(found):
            return found
        assert time.monotonic() < deadline, f"still {found!r}"
        time.sleep(0.01)
