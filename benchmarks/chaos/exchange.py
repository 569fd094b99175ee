"""The paper exchange's control routes, as chaos uses them: prices, faults, and the truth in the end.

Only speaks to the exchange. A dead exchange is an ordinary answer here (None), since it is killed on purpose.
"""

import threading
import time
from decimal import Decimal
from random import Random
from typing import Any

import httpx

#: What is wrong all the time, each by probability. Writes lose their answers before and after they are
#: carried out; notices come twice, late and in the wrong order.
FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "accept_and_drop", "route": "writes", "probability": 0.06},
    {"kind": "drop", "route": "writes", "probability": 0.04},
    {"kind": "timed_out", "route": "place", "probability": 0.02},
    {"kind": "http_5xx", "route": "writes", "probability": 0.02, "taken": True},
    {"kind": "http_5xx", "route": "any", "probability": 0.02},
    {"kind": "html_error", "route": "any", "probability": 0.01, "status": 502},
    {"kind": "http_429", "route": "writes", "probability": 0.01},
    {"kind": "delay", "route": "any", "probability": 0.03, "seconds": 0.4},
    {"kind": "delay", "route": "writes", "probability": 0.02, "seconds": 0.8, "taken": True},
    {"kind": "delay", "route": "modify", "probability": 0.06, "seconds": 6.0},
    {"kind": "delay", "route": "cancel", "probability": 0.03, "seconds": 6.0},
    # Answers of the past: read at once, arriving when much has changed.
    {"kind": "delay", "route": "book", "probability": 0.03, "seconds": 5.5, "taken": True},
    {"kind": "delay", "route": "order", "probability": 0.06, "seconds": 6.0, "taken": True},
    {"kind": "postback_duplicate", "probability": 0.3},
    {"kind": "postback_late", "probability": 0.2, "seconds": 2.0},
    {"kind": "postback_reorder", "probability": 0.2, "seconds": 1.0},
    {"kind": "cancelled_then_filled", "route": "cancel", "probability": 0.02, "seconds": 1.5},
)
#: An old picture of the book, for some seconds, every so often.
STALE_BOOK = {"kind": "stale_book", "probability": 0.5, "seconds": 2.5}
STALE_EVERY = 8.0
SYMBOLS = ("SBIN", "INFY", "RELIANCE", "TCS", "AXISBANK", "BEL")
#: Few enough units that orders fill in parts.
VOLUME_PER_TICK = 40
CASH = 1_000_000_000


class Exchange:
    """The control routes of one exchange."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/control",
            headers={"X-Paper-Control": "paper-control"},
            timeout=10.0,
            trust_env=False,
        )

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer, or None when the exchange is dead or restarting."""
        try:
            answer = self._client.request(method, path, json=body, params=query)
        except httpx.TransportError:
            return None
        answer.raise_for_status()
        return answer.json()

    def insist(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, however long the exchange needs to come back (a minute at most)."""
        deadline = time.monotonic() + 60
        while (answer := self.ask(method, path, body)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the exchange does not answer {path}")
            time.sleep(0.2)
        return answer

    def prepare(self) -> None:
        """Cash enough for any load, and a market thin enough to fill in parts."""
        self.insist("POST", "/clients", {"user_id": "PX0001", "cash": CASH})
        self.insist("POST", "/prices", {f"NSE:{name}": {"volume_per_tick": VOLUME_PER_TICK} for name in SYMBOLS})

    def settle(self) -> None:
        """No faults any more, and prices that stand still: what can fill, fills; then nothing changes."""
        self.insist("DELETE", "/faults")
        self.insist("POST", "/prices", {f"NSE:{name}": {"freeze": True} for name in SYMBOLS})

    def orders(self) -> list[dict[str, Any]]:
        """Every order that the exchange truly holds, with its trades."""
        found: list[dict[str, Any]] = self.insist("GET", "/orders")
        return found


class Trouble:
    """Keeps the faults in force (they end with the exchange's process) and the last prices at hand."""

    def __init__(self, exchange: Exchange, rng: Random) -> None:
        self.prices: dict[str, Decimal] = {}
        self._exchange, self._rng = exchange, rng
        self._faults_on = True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Read the first prices, then go on in the background."""
        self._read_prices()
        self._thread.start()

    def stop(self) -> None:
        """Lift the faults for good."""
        self._over.set()
        self._thread.join()
        self._exchange.settle()

    def _run(self) -> None:
        next_stale = time.monotonic()
        while not self._over.wait(0.5):
            self._read_prices()
            if self._exchange.ask("GET", "/faults") == []:
                for fault in self._rng.sample(FAULTS, len(FAULTS)):
                    self._exchange.ask("POST", "/faults", fault)
            if time.monotonic() >= next_stale:
                self._exchange.ask("POST", "/faults", STALE_BOOK)
                next_stale = time.monotonic() + STALE_EVERY

    def _read_prices(self) -> None:
        found = self._exchange.ask("GET", "/prices", i=[f"NSE:{name}" for name in SYMBOLS])
        if found:
            self.prices = {key.partition(":")[2]: Decimal(str(quote["last_price"])) for key, quote in found.items()}
