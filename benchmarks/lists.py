"""(d) `place_orders` with a list of 500, against one SQL function that writes the same rows set by set.

Called as a service, without HTTP: what a list costs once it has arrived.
"""

import time
from collections.abc import Callable, Iterator

from benchmarks import limit
from benchmarks.figures import Figure, Target
from benchmarks.scale import Scale
from benchmarks.world import World, place, settled

SECTION = "(d) a list of 500 on one account"


def lists(world: World, scale: Scale) -> Iterator[Figure]:
    """Orders a second of the list with the median ratio, the function's list in turn with it."""
    world.route(world.nowhere)
    limit.install(world)
    requests = [world.request(0, 1 + n % 9) for n in range(scale.listed)]
    place(requests)
    pairs = []
    for _ in range(scale.rounds):
        settled()
        pairs.append((_seconds(lambda: place(requests)), _seconds(lambda: limit.place_list(scale.listed))))
    ours, most = sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]
    yield Figure(
        SECTION, "place_orders", scale.listed / ours, "/s", limit=scale.listed / most,
        note=f"{1000 * ours / scale.listed:.2f} ms an order; limit: one set-based function, same rows and triggers",
        target=Target("ratio", 0.30),
        details={"seconds": [pair[0] for pair in pairs], "limit_seconds": [pair[1] for pair in pairs]},
    )  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
