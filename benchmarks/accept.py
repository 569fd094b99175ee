"""(a) `POST /orders` over HTTP: eight clients as fast as they are answered, against pgbench writing the same rows.

The accept path alone is measured with the broker session closed: orders stay CREATED and nobody sends them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import limit
from benchmarks.figures import Figure, Timing
from benchmarks.http_client import Body, drive
from benchmarks.where import CpuMeter
from benchmarks.world import CLIENTS, World, settled

RUNS = 3
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
    ours: list[Timing] = []
    theirs: list[Timing] = []
    costs: list[dict[str, float]] = []
    for _ in range(RUNS):
        settled()
        ours.append(_run(world, bodies, seconds, costs.append))
        if program:
            theirs.append(limit.run(program, client, seconds=seconds))
    middle, most = Timing.typical(ours), Timing.typical(theirs) if theirs else None
    details: dict[str, Any] = {"runs_per_second": [run.per_second for run in ours], "cpu_ms_per_order": costs}
    if most:
        details |= {"limit_runs_per_second": [run.per_second for run in theirs]}
        details |= {"limit_p50": most.p50, "limit_p99": most.p99}
    return Figure(
        SECTION, name, middle.per_second, "/s", middle.p50, middle.p99, most.per_second if most else None,
        "limit: pgbench, same rows in one function" if most else "no limit: pgbench is not installed", details,
    )  # fmt: skip


def everything_running(world: World, *, seconds: float) -> Figure:
    """The same while the worker sends what was accepted to the paper exchange, fills and all."""
    world.route(world.paper)
    before = _acknowledged(world)
    costs: list[dict[str, float]] = []
    run = _run(world, [world.body(n) for n in range(CLIENTS)], seconds, costs.append)
    sent = (_acknowledged(world) - before) / seconds
    return Figure(
        SECTION, "8 accounts, everything running", run.per_second, "/s", run.p50, run.p99,
        note=f"meanwhile {sent:.0f} orders/s acknowledged by the exchange",
        details={"cpu_ms_per_order": costs, "acknowledged_per_second": sent},
    )  # fmt: skip


def _run(world: World, bodies: list[Body], seconds: float, tell: Callable[[dict[str, float]], None]) -> Timing:
    meter = CpuMeter(world.stack)
    load = drive(world.stack.web_port, world.token, bodies, seconds=seconds)
    if load.refusals:
        raise RuntimeError(f"{len(load.refusals)} orders were refused: {load.refusals[0]}")
    tell({name: 1000 * cpu / len(load.latencies) for name, cpu in meter.read().items()})
    return Timing.of(load.latencies, seconds=load.seconds)


def _acknowledged(world: World) -> int:
    return world.paper.orders.exclude(broker_order_id="").count()
