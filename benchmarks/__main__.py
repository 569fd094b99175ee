"""`python -m benchmarks`: start an OMS, measure, print one table, stop. What the figures are is in README.md."""

import argparse
import multiprocessing
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.parts import ACCEPTING, PARTS, RUNNING, measure
from benchmarks.report import RESULTS, Results
from benchmarks.scale import FULL, SMOKE, Scale


def main() -> int:
    """0, or 1 when a part broke."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; may be repeated")
    parser.add_argument("--seconds", type=float, help=f"length of one run under load (default {FULL.seconds:g})")
    parser.add_argument("--smoke", action="store_true", help="a tenth of a second of everything: does it still run?")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    scale = SMOKE if options.smoke else FULL
    if options.seconds:
        scale = replace(scale, seconds=options.seconds)
    results = Results.begin(options.results, at=datetime.now(UTC))
    for parts in [PARTS] if options.smoke else [ACCEPTING, RUNNING]:
        wanted = [part for part in parts if part in (options.only or PARTS)]
        if wanted:
            _in_a_process_of_its_own(wanted, scale, results)
    results.print()
    print(f"written to {results.file}")
    return 1 if results.read()["failures"] else 0


def _in_a_process_of_its_own(parts: list[str], scale: Scale, results: Results) -> None:
    work = multiprocessing.get_context("spawn").Process(target=measure, args=(parts, scale, results.file))
    work.start()
    work.join()
    if work.exitcode:
        results.fail(", ".join(parts), f"the measuring process ended with {work.exitcode}")


if __name__ == "__main__":
    sys.exit(main())
