"""(f) What a running OMS takes of the machine while nobody trades: all polls, sweeps and heartbeats together."""

import time
from collections.abc import Iterator

from benchmarks.everything import until_over
from benchmarks.figures import Figure, at_most
from benchmarks.scale import Scale
from benchmarks.where import CpuMeter
from benchmarks.world import CLIENTS, World, place

SECTION = "(f) idle, of one core"
PERCENT = 10
SHOWN = 4


def idle(world: World, scale: Scale) -> Iterator[Figure]:
    """Before the first order."""
    yield _figure("nothing traded yet", world, scale, "with a broker session")


def after_a_day(world: World, scale: Scale) -> Iterator[Figure]:
    """With a day's book behind it, every order of which is filled."""
    world.route(world.paper)
    for start in range(0, scale.day, scale.listed):
        place([world.request(n % CLIENTS, 1 + n % 9) for n in range(start, start + scale.listed)])
    until_over(world, scale.patience)
    orders = world.paper.orders.count()
    yield _figure("after a day of some thousand orders", world, scale, f"{orders:,} orders, all over")


def _figure(name: str, world: World, scale: Scale, what: str) -> Figure:
    time.sleep(scale.idle_seconds / 2)  # what the last work left behind
    meter, began = CpuMeter(world.stack), time.perf_counter()
    time.sleep(scale.idle_seconds)
    seconds = time.perf_counter() - began
    shares = {service: 100 * used / seconds for service, used in meter.used().items() if service != "clients"}
    most = sorted(shares.items(), key=lambda share: -share[1])[:SHOWN]
    return Figure(
        SECTION, name, sum(shares.values()), "%", target=at_most("value", PERCENT),
        note=f"{what}; {', '.join(f'{service} {share:.1f}' for service, share in most)}", details={"percent": shares},
    )  # fmt: skip
