"""The load: traders who place, change and cancel orders over the HTTP API and never give a request up.

A request is repeated under its Idempotency-Key until it is answered by something else than a failing server,
as a careful client does. What was asked and answered is kept for the checks.
"""

import json
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

import httpx

from benchmarks.chaos.exchange import SYMBOLS, Trouble

ORDERS = "/api/v1/orders"
PATIENCE_SECONDS = 60.0
ANSWER_SECONDS = 10.0
TICK = Decimal("0.10")
HELD = SYMBOLS[:4]
#: (weight, side, type (ICEBERG: of limit orders), product, distance of the limit from the last price, time in force)
SHAPES: tuple[tuple[int, str, str, str, str, str], ...] = (
    (3, "BUY", "LIMIT", "CNC", "1.006", "DAY"),
    (3, "BUY", "LIMIT", "CNC", "0.990", "DAY"),
    (2, "BUY", "LIMIT", "CNC", "0.9995", "DAY"),
    (2, "BUY", "MARKET", "CNC", "", "DAY"),
    (2, "SELL", "LIMIT", "CNC", "0.994", "DAY"),
    (2, "SELL", "LIMIT", "CNC", "1.010", "DAY"),
    (1, "SELL", "MARKET", "CNC", "", "DAY"),
    (1, "BUY", "LIMIT", "MIS", "1.006", "DAY"),
    (1, "SELL", "LIMIT", "MIS", "0.994", "DAY"),
    (1, "SELL", "LIMIT", "MIS", "1.008", "DAY"),
    (1, "BUY", "STOP_LIMIT", "MIS", "1.002", "DAY"),
    (1, "BUY", "STOP", "MIS", "", "DAY"),
    (1, "BUY", "LIMIT", "CNC", "1.001", "IOC"),
    (1, "BUY", "ICEBERG", "CNC", "1.003", "DAY"),
    (1, "BUY", "ICEBERG", "CNC", "0.9995", "DAY"),
)
WEIGHTS = [shape[0] for shape in SHAPES]


@dataclass(slots=True)
class Request:
    """One order as it was asked for, under its key, and the first answer that came through."""

    user: str
    key: str
    body: bytes
    status: int = 0
    order_id: str = ""
    repeats: int = 0


@dataclass
class Record:
    """What all traders together asked for and heard."""

    requests: list[Request] = field(default_factory=list)
    taken: int = 0
    amendments: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)


class Trader(threading.Thread):
    """One client with one connection: places at its pace, and amends what it placed."""

    def __init__(
        self, number: int, port: int, login: tuple[str, str], *, trouble: Trouble, record: Record, rate: float,
        rng: Random, over: threading.Event,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._user, self._account = login
        self._number, self._trouble, self._record = number, trouble, record
        self._rate, self._rng, self._over = rate, rng, over
        self._working: deque[str] = deque(maxlen=40)
        self._home: dict[str, Decimal] = {}
        self._count = 0
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_SECONDS, trust_env=False)
        self._http.headers["Authorization"] = f"Bearer {_token(self._http, self._user)}"

    def run(self) -> None:
        """Until it is over; the last request is seen through."""
        while not self._over.wait(self._rng.expovariate(self._rate)):
            turn = self._rng.random()
            if turn < 0.62 or not self._working:
                self._place()
            elif turn < 0.80:
                self._modify()
            else:
                self._cancel()

    def repeat(self, request: Request) -> str:
        """Send a request once more as it was; the order id in the answer."""
        answer = self._send("POST", ORDERS, request.body, {"Idempotency-Key": request.key})
        return "" if answer is None else _order_id(answer)

    def _place(self) -> None:
        self._count += 1
        key = f"chaos-{self._number}-{self._count}"
        request = Request(self._user, key, json.dumps(self._order(key)).encode())
        self._record.requests.append(request)
        answer = self._send("POST", ORDERS, request.body, {"Idempotency-Key": key}, request)
        if answer is None:
            return
        request.status, request.order_id = answer.status_code, _order_id(answer)
        if answer.status_code == 201:
            self._working.append(request.order_id)
            self._record.taken += 1
        else:
            self._record.refusals[answer.json().get("code", str(answer.status_code))] += 1

    def _order(self, key: str) -> dict[str, Any]:
        _, side, type, product, distance, time_in_force = self._rng.choices(SHAPES, WEIGHTS)[0]
        symbol = self._rng.choice(HELD if side == "SELL" and product == "CNC" else SYMBOLS)
        order = {
            "accountId": self._account, "symbol": symbol, "side": side, "product": product, "notes": key,
            "type": "LIMIT" if type == "ICEBERG" else type, "quantity": self._rng.randint(3, 60),
            "timeInForce": time_in_force,
        }  # fmt: skip
        last = self._trouble.prices[symbol]
        if distance:
            order["price"] = _on_tick(last * Decimal(distance))
        if type in ("STOP", "STOP_LIMIT"):
            order["stopPrice"] = _on_tick(last * Decimal("1.0015"))
        if type == "ICEBERG":
            order |= {"variety": "iceberg", "icebergLegs": 3}
        return order

    def _modify(self) -> None:
        order_id = self._rng.choice(self._working)
        answer = self._send("GET", f"{ORDERS}/{order_id}", b"", {})
        if answer is None or answer.status_code != 200:
            return
        order = answer.json()
        change: dict[str, Any] = {"action": "MODIFY"}
        if "price" in order and self._rng.random() < 0.7:
            # To and fro between two prices: what is old then looks like what is new.
            price = Decimal(str(order["price"]))
            home = self._home.setdefault(order_id, price)
            change["price"] = _on_tick(home * Decimal("0.998")) if price == home else str(home)
        else:
            change["quantity"] = max(int(order["quantity"]) + self._rng.choice([-7, -1, 3, 11]), 1)
        self._amend("modify", order_id, change)

    def _cancel(self) -> None:
        order_id = self._working.popleft()
        self._amend("cancel", order_id, {"action": "CANCEL"})

    def _amend(self, kind: str, order_id: str, change: dict[str, Any]) -> None:
        answer = self._send("PUT", f"{ORDERS}/{order_id}", json.dumps(change).encode(), {})
        if answer is not None:
            self._record.amendments[f"{kind} {answer.status_code}"] += 1

    def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str], request: Request | None = None
    ) -> httpx.Response | None:
        """The answer; None when no server could be got to answer in a minute."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        headers = {"Content-Type": "application/json", **headers}
        while time.monotonic() < deadline:
            try:
                answer = self._http.request(method, path, content=body, headers=headers)
            except httpx.TransportError as error:
                self._record.failures[type(error).__name__] += 1
            else:
                if answer.status_code < 500 and b'"in_flight"' not in answer.content:
                    return answer
                self._record.failures[str(answer.status_code)] += 1
            if request is not None:
                request.repeats += 1
            time.sleep(self._rng.uniform(0.05, 0.3))
        return None


def _token(client: httpx.Client, user: str) -> str:
    answer = client.post("/api/v1/auth/token", json={"username": user, "password": f"{user}-demo"})
    answer.raise_for_status()
    return str(answer.json()["access"])


def _order_id(answer: httpx.Response) -> str:
    document = answer.json()
    return str(document.get("orderId") or document.get("id") or "")


def _on_tick(price: Decimal) -> str:
    return str((price / TICK).to_integral_value(ROUND_HALF_UP) * TICK)
