"""`python -m benchmarks`: start an OMS, measure, print one table, stop. What the figures are is in README.md."""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.figures import Figure
from benchmarks.stack import Stack, StackError, join, running

PARTS = ("acknowledge", "book", "accept", "profile", "everything")


def main() -> int:
    """0, or 1 when the OMS does not start."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; may be repeated")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one run under load (default 3)")
    options = parser.parse_args()
    try:
        with running() as stack:
            join(stack)
            _measure(stack, options.only or PARTS, options.seconds)
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _measure(stack: Stack, parts: Sequence[str], seconds: float) -> None:
    # These need Django, which knows its database only now.
    from benchmarks import accept, acknowledge, book, report, world
    from benchmarks.profile import Profile, profile

    began = datetime.now(UTC)
    figures: list[Figure] = []
    seen: Profile | None = None
    around = world.build(stack)
    if "acknowledge" in parts:
        figures += acknowledge.acknowledged_and_filled(around, seconds=12)
    world.log_out(around)
    if "book" in parts:
        figures += book.apply_changes(around)
    if "accept" in parts:
        figures += accept.accept_path(around, seconds=seconds)
    if "profile" in parts:
        seen = profile(around, seconds=seconds)
    if "everything" in parts:
        world.log_in(around)
        figures.append(accept.everything_running(around, seconds=seconds))
    figures.sort(key=lambda figure: figure.section)
    file = report.publish(figures, seen, began=began)
    print(f"written to {file.relative_to(report.RESULTS.parent.parent)}")


if __name__ == "__main__":
    sys.exit(main())
