"""(e) Processor time of an order's whole life, in all processes together, against pgbench writing its first rows."""

from collections.abc import Iterator

from benchmarks import limit
from benchmarks.accept import measured, placed
from benchmarks.everything import SECTION, until_over
from benchmarks.figures import Figure, Timing, at_most
from benchmarks.scale import Scale
from benchmarks.world import CLIENTS, World

TIMES_THE_ROWS = 15


def whole_life(world: World, scale: Scale) -> Iterator[Figure]:
    """From `POST` until all are filled and posted back. The last part: pgbench leaves orders that nobody sends."""
    world.route(world.paper)
    until_over(world, scale.patience)

    def lives() -> Timing:
        run = placed(world, [world.body(n) for n in range(CLIENTS)], 2 * scale.seconds)
        until_over(world, scale.patience)
        return run

    run, cost = measured(world, lives)
    program, most = limit.pgbench(), None
    if program:
        world.route(world.nowhere)
        limit.install(world)
        _, most = measured(world, lambda: limit.run(program, ":client_id", seconds=scale.seconds))
    times = f"{cost.ours / most.milliseconds['postgres']:.0f} × the limit: " if most else "no "
    yield Figure(
        SECTION, "processor time of a whole life, all processes", cost.ours, "ms",
        limit=most.milliseconds["postgres"] if most else None,
        note=f"{times}pgbench, same rows in one function; {run.count} orders", target=at_most("times", TIMES_THE_ROWS),
        cost=cost.milliseconds, limit_cost=most.milliseconds if most else {},
    )  # fmt: skip
