"""(a) `POST /orders` over HTTP: eight clients as fast as they are answered, against pgbench writing the same rows.

The accept path alone is measured with the broker session closed: orders stay CREATED and nobody sends them.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import limit
from benchmarks.figures import Figure, Timing
from benchmarks.http_client import Body, drive
from benchmarks.where import Cost, CpuMeter
from benchmarks.world import CLIENTS, World, settled

RUNS = 5
Run = tuple[Timing, Cost]
SECTION = "(a) POST /orders, 8 clients, durable commits"


def accept_path(world: World, *, seconds: float) -> list[Figure]:
    """Orders accepted a second on eight accounts and on one, nothing being sent."""
    world.route(world.nowhere)
    program = limit.pgbench()
    if program:
        limit.install(world)
    spread, hot = [world.body(n) for n in range(CLIENTS)], [world.body(0)] * CLIENTS
    drive(world.stack.web_port, world.token, spread, seconds=1)
    return [
        _against_limit(world, "8 accounts, accept path alone", spread, program, ":client_id", seconds),
        _against_limit(world, "all on one account, accept path alone", hot, program, "0", seconds),
    ]


def _against_limit(
    world: World, name: str, bodies: list[Body], program: Path | None, client: str, seconds: float
) -> Figure:
    """Ours and pgbench in turn, so that a busy moment strikes both; the pair with the median ratio is shown."""
    pairs: list[tuple[Run, Run | None]] = []
    for _ in range(RUNS):
        settled()
        ours = _measured(world, lambda: _placed(world, bodies, seconds))
        pairs.append((ours, _measured(world, lambda: limit.run(program, client, seconds=seconds)) if program else None))
    pairs.sort(key=lambda pair: pair[0][0].per_second / (pair[1][0].per_second if pair[1] else 1))
    (middle, cost), most = pairs[len(pairs) // 2]
    note = "limit: pgbench, same rows in one function" if most else "no limit: pgbench is not installed"
    return Figure(
        SECTION, name, middle.per_second, "/s", middle.p50, middle.p99, most[0].per_second if most else None,
        f"{note}; {cost.elsewhere:.0%} of the machine busy elsewhere", cost.milliseconds,
        most[1].milliseconds if most else {},
        {"runs": _described(ours for ours, _ in pairs), "limit_runs": _described(run for _, run in pairs if run)},
    )  # fmt: skip


def everything_running(world: World, *, seconds: float) -> Figure:
    """The same while the worker sends what was accepted to the paper exchange, fills and all."""
    world.route(world.paper)
    before = _acknowledged(world)
    bodies = [world.body(n) for n in range(CLIENTS)]
    run, cost = _measured(world, lambda: _placed(world, bodies, seconds))
    sent = (_acknowledged(world) - before) / seconds
    return Figure(
        SECTION, "8 accounts, everything running", run.per_second, "/s", run.p50, run.p99,
        note=f"meanwhile {sent:.0f} orders/s acknowledged by the exchange",
        cost=cost.milliseconds, details={"runs": _described([(run, cost)]), "acknowledged_per_second": sent},
    )  # fmt: skip


def _measured(world: World, work: Callable[[], Timing]) -> Run:
    meter = CpuMeter(world.stack)
    timing = work()
    return timing, meter.per_order(timing.count)


def _placed(world: World, bodies: list[Body], seconds: float) -> Timing:
    load = drive(world.stack.web_port, world.token, bodies, seconds=seconds)
    if load.refusals:
        raise RuntimeError(f"{len(load.refusals)} orders were refused: {load.refusals[0]}")
    return Timing.of(load.latencies, seconds=load.seconds)


def _described(runs: Iterable[Run]) -> list[dict[str, Any]]:
    return [asdict(timing) | asdict(cost) for timing, cost in runs]


def _acknowledged(world: World) -> int:
    return world.paper.orders.exclude(broker_order_id="").count()
