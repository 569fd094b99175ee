"""(a) `POST /orders` over HTTP: clients as fast as they are answered, against pgbench writing the same rows.

The accept path alone is measured with the broker session closed: orders stay CREATED and nobody sends them. No table is
analysed on the way: what statistics would hide is the first figure.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.db import connection

from benchmarks import limit
from benchmarks.figures import Figure, Target, Timing
from benchmarks.http_client import Body, drive
from benchmarks.scale import Scale
from benchmarks.where import Cost, CpuMeter
from benchmarks.world import CLIENTS, World, place, settled

Run = tuple[Timing, Cost]
SECTION = "(a) POST /orders, durable commits"
TABLES = ("orders_order", "ledger_capitalentry", "ledger_capitalaccount", "compliance_account")
#: What one client got in November 2026, before orders were joined.
ONE_CLIENT_BEFORE = 108


def fresh_ledger(world: World, scale: Scale) -> Iterator[Figure]:
    """Orders a second when every plan was made on an empty ledger that has grown since, and the same once analysed."""
    world.route(world.nowhere)
    _autovacuum("SET (autovacuum_enabled = off)")
    hot = [world.body(0)] * CLIENTS
    placed(world, hot, scale.seconds / 3)
    for start in range(0, scale.grown, scale.listed):
        place([world.request(0, 1 + n % 9) for n in range(start, start + scale.listed)])
    fresh = placed(world, hot, scale.seconds)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    _autovacuum("RESET (autovacuum_enabled)")
    placed(world, hot, scale.seconds / 3)
    analysed = placed(world, hot, scale.seconds)
    yield Figure(
        SECTION, "all on one account, a fresh ledger that was never analysed", fresh.per_second, "/s", fresh.p50,
        fresh.p99, analysed.per_second, f"{scale.grown:,} orders after the plans were made; limit: the same, analysed",
        Target("ratio", 0.9),
    )  # fmt: skip


def accept_path(world: World, scale: Scale) -> Iterator[Figure]:
    """Orders accepted a second on eight accounts and on one, nothing being sent; then by one client."""
    world.route(world.nowhere)
    program = limit.pgbench()
    if program:
        limit.install(world)
    spread, hot = [world.body(n) for n in range(CLIENTS)], [world.body(0)] * CLIENTS
    placed(world, spread, min(scale.seconds, 1))
    yield _against_limit(world, "8 clients, 8 accounts", spread, program, ":client_id", Target("ratio", 0.20), scale)
    yield _against_limit(world, "8 clients, all on one account", hot, program, "0", Target("ratio", 0.25), scale)
    settled()
    run, cost = measured(world, lambda: placed(world, [world.body(0)], scale.seconds))
    yield Figure(
        SECTION, "1 client", run.per_second, "/s", run.p50, run.p99, target=Target("value", ONE_CLIENT_BEFORE),
        cost=cost.milliseconds, details={"runs": described([(run, cost)])},
    )  # fmt: skip


def _against_limit(
    world: World, name: str, bodies: list[Body], program: Path | None, client: str, target: Target, scale: Scale
) -> Figure:
    """Ours and pgbench in turn, so that a busy moment strikes both; the pair with the median ratio is shown."""
    pairs: list[tuple[Run, Run | None]] = []
    for _ in range(scale.rounds):
        settled()
        ours = measured(world, lambda: placed(world, bodies, scale.seconds))
        most = measured(world, lambda: limit.run(program, client, seconds=scale.seconds)) if program else None
        pairs.append((ours, most))
    pairs.sort(key=lambda pair: pair[0][0].per_second / (pair[1][0].per_second if pair[1] else 1))
    (middle, cost), most = pairs[len(pairs) // 2]
    note = "limit: pgbench, same rows in one function" if most else "no limit: pgbench is not installed"
    return Figure(
        SECTION, name, middle.per_second, "/s", middle.p50, middle.p99, most[0].per_second if most else None,
        f"{note}; {cost.elsewhere:.0%} of the machine busy elsewhere", target, cost.milliseconds,
        most[1].milliseconds if most else {},
        {"runs": described(ours for ours, _ in pairs), "limit_runs": described(run for _, run in pairs if run)},
    )  # fmt: skip


def measured(world: World, work: Callable[[], Timing]) -> Run:
    """What it returns, and the processor time that it took."""
    meter = CpuMeter(world.stack)
    timing = work()
    return timing, meter.per_order(timing.count)


def placed(world: World, bodies: list[Body], seconds: float) -> Timing:
    """One client for each of the bodies. Raises RuntimeError when an order is refused."""
    load = drive(world.stack.web_port, world.token, bodies, seconds=seconds)
    if load.refusals:
        raise RuntimeError(f"{len(load.refusals)} orders were refused: {load.refusals[0]}")
    return Timing.of(load.latencies, seconds=load.seconds)


def described(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """For the JSON."""
    return [asdict(timing) | asdict(cost) for timing, cost in runs]


def _autovacuum(setting: str) -> None:
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} {setting}")
