"""(b) From acceptance to the broker's acknowledgement and to the fill on the paper exchange, at eight orders a second.

Twice: by the recorded times of the events, for every order, and as a client sees it that asks again and again, for a
sample (asking for all would be most of the load). The limit is the bare call through the same adapter.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from benchmarks.figures import Figure, Target, Timing, at_most
from benchmarks.http_client import ORDERS, Connection
from benchmarks.scale import Scale
from benchmarks.world import CLIENTS, SYMBOL, World
from compliance.selectors import order_events
from oms.lib.ids import new_id, tag_of
from orders.brokers.base import Broker
from orders.brokers.registry import broker_for
from orders.types import BrokerStatus, OrderType, PlaceInstruction, Side, Terms, TimeInForce, Variety

SECTION = "(b) from 201 to the broker, 8 orders/s"
PER_SECOND = 8
WATCH_EVERY = 4
ASK_SECONDS = 0.02
PATIENCE_SECONDS = 20.0
TIMES_THE_BARE_CALL = 4
#: The book may show an order before the answer to placing it is in.
ACKNOWLEDGING = ("ORDER_PLACED", "ORDER_OPENED", "ORDER_PARTIALLY_FILLED", "ORDER_FILLED")
FILLED = "ORDER_FILLED"
NOT_ACKNOWLEDGED = {"CREATED", "SUBMITTING", "UNKNOWN"}


def acknowledged_and_filled(world: World, scale: Scale) -> Iterator[Figure]:
    """Both with postbacks; then the fill by polling alone."""
    world.route(world.paper)
    _Run(world).go(min(scale.watched_seconds, 1))
    with_postbacks = _Run(world).go(scale.watched_seconds)
    world.stack.exchange("/faults", {"kind": "postback_off"})
    try:
        by_polling = _Run(world).go(scale.watched_seconds)
    finally:
        world.stack.exchange("/faults", method="DELETE")
    bare_call, bare_fill = _bare(broker_for(world.session()), world.price, scale.bare_calls)
    call, fill = "limit: the bare call to the exchange", "limit: bare call to COMPLETE in the exchange's own book"
    recorded = [*with_postbacks.gaps(*ACKNOWLEDGING), *by_polling.gaps(*ACKNOWLEDGING)]
    seen = [*with_postbacks.seen["ack"], *by_polling.seen["ack"]]
    yield _figure("acknowledged, recorded", recorded, bare_call, call, at_most("times", TIMES_THE_BARE_CALL))
    yield _figure("acknowledged, as a client sees it", seen, bare_call, call)
    yield _figure("filled with postbacks, recorded", with_postbacks.gaps(FILLED), bare_fill, fill)
    yield _figure("filled with postbacks, as a client sees it", with_postbacks.seen["fill"], bare_fill, fill)
    yield _figure("filled by polling alone, recorded", by_polling.gaps(FILLED), bare_fill, fill)
    yield _figure("filled by polling alone, as a client sees it", by_polling.seen["fill"], bare_fill, fill)


def _figure(name: str, gaps: Sequence[float], limit: float, note: str, target: Target | None = None) -> Figure:
    timing = Timing.of(gaps, seconds=1)
    return Figure(
        SECTION, name, timing.p50 * 1000, "ms", timing.p50, timing.p99, limit * 1000, note, target,
        details={"orders": timing.count},
    )  # fmt: skip


class _Run:
    """One stretch of orders. `seen` are seconds from the 201, `recorded` the times of each order's events."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._local = threading.local()
        self.seen: dict[str, list[float]] = {"ack": [], "fill": []}
        self.recorded: list[dict[str, datetime]] = []

    def go(self, seconds: float) -> "_Run":
        began, total = time.perf_counter(), round(PER_SECOND * seconds)
        with ThreadPoolExecutor(3 * CLIENTS) as pool:
            placed = []
            for n in range(total):
                time.sleep(max(began + n / PER_SECOND - time.perf_counter(), 0))
                placed.append(pool.submit(self._place, n))
            ids = [one.result() for one in placed]
        self.recorded = [self._events(pk) for pk in ids]
        return self

    def gaps(self, *types: str) -> list[float]:
        """Seconds from each order's first event to the first one of the given types."""
        return [
            (min(events[type] for type in types if type in events) - events["ORDER_CREATED"]).total_seconds()
            for events in self.recorded
        ]

    def _place(self, n: int) -> UUID:
        connection = self._connection()
        status, answer = connection.request("POST", ORDERS, self._world.body(n % CLIENTS)(n))
        accepted = time.perf_counter()
        if status != 201:
            raise RuntimeError(f"refused: {answer.decode()}")
        pk = UUID(json.loads(answer)["id"])
        if n % WATCH_EVERY == 0:
            self.seen["ack"].append(self._until(pk, lambda state: state not in NOT_ACKNOWLEDGED) - accepted)
            self.seen["fill"].append(self._until(pk, lambda state: state == "FILLED") - accepted)
        return pk

    def _until(self, pk: UUID, reached: Callable[[str], bool]) -> float:
        connection, deadline = self._connection(), time.perf_counter() + PATIENCE_SECONDS
        while not reached(connection.json("GET", f"{ORDERS}/{pk}/status")["state"]):
            if time.perf_counter() > deadline:
                raise RuntimeError(f"order {pk} got nowhere in {PATIENCE_SECONDS:.0f} s")
            time.sleep(ASK_SECONDS)
        return time.perf_counter()

    def _events(self, pk: UUID) -> dict[str, datetime]:
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while True:
            events = dict(order_events(pk).values_list("event_type", "recorded_at"))
            if FILLED in events:
                return events
            if time.perf_counter() > deadline:
                raise RuntimeError(f"order {pk} was not filled: {sorted(events)}")
            time.sleep(ASK_SECONDS)

    def _connection(self) -> Connection:
        with suppress(AttributeError):
            return self._local.connection  # type: ignore[no-any-return]
        self._local.connection = Connection(self._world.stack.web_port, self._world.token)
        return self._connection()


def _bare(broker: Broker, price: Decimal, count: int) -> tuple[float, float]:
    """Median seconds of placing through the adapter alone, and from there until the exchange calls it complete."""
    calls, fills = [], []
    for n in range(count):
        began = time.perf_counter()
        pk = broker.place(_instruction(Decimal(1 + n % 9), price))
        calls.append(time.perf_counter() - began)
        while broker.order(pk).status is not BrokerStatus.COMPLETE:
            time.sleep(ASK_SECONDS / 4)
        fills.append(time.perf_counter() - began)
    return Timing.of(calls, seconds=1).p50, Timing.of(fills, seconds=1).p50


def _instruction(quantity: Decimal, price: Decimal) -> PlaceInstruction:
    terms = Terms(quantity, price, None, OrderType.LIMIT, TimeInForce.DAY)
    return PlaceInstruction(
        tag=tag_of(new_id()), variety=Variety.REGULAR, exchange="NSE", symbol=SYMBOL, side=Side.BUY, product="CNC",
        terms=terms,
    )  # fmt: skip
