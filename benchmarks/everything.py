"""(e) The whole life under load: workers send what is accepted, the exchange fills it, postbacks come in.

What matters is whether sending keeps up with accepting: as many acknowledged a second as accepted, and soon.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from benchmarks.accept import described, measured, placed
from benchmarks.acknowledge import ACKNOWLEDGING
from benchmarks.figures import Figure, Target, Timing, at_most
from benchmarks.scale import Scale
from benchmarks.where import Cost
from benchmarks.world import CLIENTS, World
from compliance.models import OrderEvent
from oms.lib.clock import now
from orders.models import Order
from orders.states import LIVE

SECTION = "(e) everything running: sent, filled, posted back"
#: 2.5 × what was accepted a second in November 2026, by clients.
ACCEPTED = {CLIENTS: 180, 1: 71}
SOON_MILLISECONDS = 500
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Life:
    """Orders of one stretch: accepted, and seconds from acceptance to the broker's word for each of them."""

    accepted: Timing
    cost: Cost
    acknowledged: Timing
    backlog: int


def everything_running(world: World, scale: Scale) -> Iterator[Figure]:
    """Accepted and acknowledged a second, and the time between, by eight clients and by one."""
    world.route(world.paper)
    for clients in (CLIENTS, 1):
        yield from _figures(f"{clients} client{'s' if clients > 1 else ''}", clients, lived(world, clients, scale))


def _figures(who: str, clients: int, life: Life) -> Iterator[Figure]:
    accepted, acknowledged = life.accepted, life.acknowledged
    yield Figure(
        SECTION, f"{who}: accepted", accepted.per_second, "/s", accepted.p50, accepted.p99,
        target=Target("value", ACCEPTED[clients]), note=f"{life.cost.ours:.1f} ms of processor time each meanwhile",
        cost=life.cost.milliseconds, details={"runs": described([(accepted, life.cost)])},
    )  # fmt: skip
    yield Figure(
        SECTION, f"{who}: acknowledged", acknowledged.per_second, "/s", limit=accepted.per_second,
        note=f"limit: as many as accepted; {life.backlog} of {accepted.count} waited at the end",
        target=Target("ratio", 0.95), details={"backlog": life.backlog, "accepted": accepted.count},
    )  # fmt: skip
    yield Figure(
        SECTION, f"{who}: from 201 to acknowledged", acknowledged.p50 * 1000, "ms", acknowledged.p50, acknowledged.p99,
        target=at_most("value", SOON_MILLISECONDS),
    )  # fmt: skip


def lived(world: World, clients: int, scale: Scale) -> Life:
    """Place for twice the usual time, then wait until every order is filled. Raises RuntimeError when one is not."""
    until_over(world, scale.patience)
    began = now()
    accepted, cost = measured(world, lambda: placed(world, [world.body(n) for n in range(clients)], 2 * scale.seconds))
    ended = now()
    ours = Order.objects.filter(account__in=world.accounts, created_at__range=(began, ended))
    ids = [*ours.values_list("pk", flat=True)]
    until_over(world, scale.patience)
    gaps, in_time = _acknowledged(ids, ended)
    seconds = accepted.count / accepted.per_second
    timing = Timing.of(gaps, seconds=seconds)
    acknowledged = Timing(in_time / seconds, timing.p50, timing.p99, timing.count)
    return Life(accepted, cost, acknowledged, len(ids) - in_time)


def until_over(world: World, patience: float) -> None:
    """Wait until no order works at the paper exchange or is on its way there. Raises RuntimeError."""
    deadline = time.monotonic() + patience
    live = Order.objects.filter(broker_account=world.paper, state__in=LIVE)
    while left := live.count():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{left} orders were not filled within {patience:.0f} s")
        time.sleep(0.05)


def _acknowledged(ids: Sequence[UUID], ended: datetime) -> tuple[list[float], int]:
    """Seconds from acceptance to acknowledgement, by the recorded events, and how many were in before `ended`."""
    created: dict[UUID | None, datetime] = {}
    known: dict[UUID | None, datetime] = {}
    for start in range(0, len(ids), CHUNK):
        events = OrderEvent.objects.filter(order_id__in=ids[start : start + CHUNK])
        told = events.filter(event_type__in=("ORDER_CREATED", *ACKNOWLEDGING)).order_by("id")
        for order_id, kind, at in told.values_list("order_id", "event_type", "recorded_at"):
            (created if kind == "ORDER_CREATED" else known).setdefault(order_id, at)
    gaps = [(at - created[order_id]).total_seconds() for order_id, at in known.items()]
    return gaps, sum(at <= ended for at in known.values())
