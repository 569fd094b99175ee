"""(a) `POST /orders` over HTTP: eight clients as fast as they are answered, against pgbench writing the same rows.

The accept path alone is measured with the broker session closed: orders stay CREATED and nobody sends them.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import limit
from benchmarks.figures import Figure, Timing
from benchmarks.http_client import Body, drive
from benchmarks.where import Cost, CpuMeter
from benchmarks.world import CLIENTS, World, settled

RUNS = 3
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
    """Ours and pgbench in turn, so that a busy moment of the machine strikes both."""
    ours: list[Run] = []
    theirs: list[Run] = []
    for _ in range(RUNS):
        settled()
        ours.append(_measured(world, lambda: _placed(world, bodies, seconds)))
        if program:
            theirs.append(_measured(world, lambda: limit.run(program, client, seconds=seconds)))
    middle, cost = _typical(ours)
    most, limit_cost = _typical(theirs) if theirs else (None, Cost({}, 0.0))
    elsewhere = max(cost.elsewhere for _, cost in (*ours, *theirs))
    note = "limit: pgbench, same rows in one function" if most else "no limit: pgbench is not installed"
    return Figure(
        SECTION, name, middle.per_second, "/s", middle.p50, middle.p99, most.per_second if most else None,
        f"{note}; up to {elsewhere:.0%} of the machine busy elsewhere", cost.milliseconds, limit_cost.milliseconds,
        {"runs": _described(ours), "limit_runs": _described(theirs)},
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


def _described(runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [asdict(timing) | asdict(cost) for timing, cost in runs]


def _typical(runs: Sequence[Run]) -> Run:
    """The run in the middle by rate: of short runs on a shared machine the best and the worst are luck."""
    return sorted(runs, key=lambda run: run[0].per_second)[len(runs) // 2]


def _acknowledged(world: World) -> int:
    return world.paper.orders.exclude(broker_order_id="").count()
