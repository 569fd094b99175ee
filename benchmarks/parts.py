"""What is measured, part by part, on two systems one after the other: each is started fresh in a process of its own.

On the first the broker session stays closed, so that nothing is sent and the accept path is seen alone; on the second
everything runs. A part that breaks is written down and the next one goes on.
"""

import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from benchmarks.report import Results
from benchmarks.scale import Scale
from benchmarks.stack import StackError, join, running

if TYPE_CHECKING:
    from benchmarks.world import World

Part = Callable[["World", Scale], Iterable[Figure]]
#: The first of each needs an OMS on which nothing has happened yet.
ACCEPTING = ("fresh", "accept", "lists", "book", "profile")
RUNNING = ("idle", "acknowledge", "everything", "day", "life")
PARTS = (*ACCEPTING, *RUNNING)


def measure(names: Sequence[str], scale: Scale, file: Path, *, session: bool) -> None:
    """Start an OMS, measure the named parts on it, stop it. Runs in a process of its own."""
    results = Results(file)
    try:
        with running() as stack:
            join(stack)
            # These need Django, which knows its database only now.
            from benchmarks import world

            around = world.build(stack)
            if not session:
                world.log_out(around)
            for name in names:
                _measure(name, around, scale, results)
    except StackError as error:
        results.fail(", ".join(names), str(error))


def _measure(name: str, world: "World", scale: Scale, results: Results) -> None:
    try:
        if name == "profile":
            _profile(world, scale, results)
        else:
            for figure in _part(name)(world, scale):
                results.add(figure)
    except Exception as error:  # noqa: BLE001  what the other parts measure must not be lost
        traceback.print_exc()
        results.fail(name, f"{type(error).__name__}: {error}")


def _part(name: str) -> Part:
    from benchmarks import accept, acknowledge, book, everything, idle, life, lists

    parts: dict[str, Part] = {
        "fresh": accept.fresh_ledger,
        "accept": accept.accept_path,
        "lists": lists.lists,
        "book": book.apply_changes,
        "idle": idle.idle,
        "acknowledge": acknowledge.acknowledged_and_filled,
        "everything": everything.everything_running,
        "day": idle.after_a_day,
        "life": life.whole_life,
    }
    return parts[name]


def _profile(world: "World", scale: Scale, results: Results) -> None:
    from benchmarks.profile import profile, write_folded

    seen = profile(world, seconds=scale.seconds)
    results.add_profile({name: value for name, value in asdict(seen).items() if name != "stacks"})
    write_folded(seen, results.file.with_suffix(".folded"))
