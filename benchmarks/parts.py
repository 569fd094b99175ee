"""What is measured, part by part. The broker session is closed for those that look at the accept path alone.

A part that breaks is written down and the next one goes on.
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
#: With the session closed, and with everything running; the first of each wants an OMS that has done nothing yet.
ACCEPTING = ("fresh", "accept", "lists", "book", "profile")
RUNNING = ("idle", "acknowledge", "everything", "day", "life")
PARTS = (*ACCEPTING, *RUNNING)


def measure(names: Sequence[str], scale: Scale, file: Path) -> None:
    """Start an OMS, measure the named parts on it, stop it. For a process of its own: Django knows one database."""
    results = Results(file)
    try:
        with running() as stack:
            join(stack)
            # These need Django, which knows its database only now.
            from benchmarks import world

            around, open_now = world.build(stack), True
            for name in names:
                if open_now != (name in RUNNING):
                    open_now = not open_now
                    (world.log_in if open_now else world.log_out)(around)
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
