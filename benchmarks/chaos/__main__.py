"""`python -m benchmarks.chaos [--kills 20] [--seed 1]`: the whole trial, its progress, its table.

Ends with 1 when anything is wrong. The counts also go to benchmarks/results/chaos.json, the log of
the OMS to chaos.log beside it.
"""

import argparse
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.chaos.exchange import Exchange, Trouble
from benchmarks.chaos.finding import Finding
from benchmarks.chaos.load import Record, Trader
from benchmarks.stack import Stack, StackError, join, running

if TYPE_CHECKING:
    from benchmarks.chaos.killing import Killer

RESULTS = Path(__file__).resolve().parent.parent / "results"
#: (user, account) of each trader.
LOGINS = (("trader", "DEMO"),) * 4 + (("outsider", "OTHER"),) * 2
SETTLE_SECONDS = 30.0
REPEATED_KEYS = 100
EXAMPLES = 5
console = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one trial; 0 when nothing at all is wrong."""
    given = _read(arguments)
    os.environ["OMS_ACCESS_TOKEN_MINUTES"] = "600"  # a long trial with one login
    began = time.monotonic()
    try:
        with running() as stack:
            join(stack)
            findings, facts = _trial(stack, given)
            facts["minutes"] = round((time.monotonic() - began) / 60, 1)
            _report(findings, facts, given)
            RESULTS.mkdir(exist_ok=True)
            shutil.copy(stack.home.parent / "up.log", RESULTS / "chaos.log")
            if given.hold:
                console.print(f"held for a look: OMS_HOME={stack.home} (Enter ends it)")
                sys.stdin.readline()
    except (StackError, TimeoutError, ValueError) as error:
        console.print(str(error), markup=False)
        return 1
    return int(any(finding.wrong for finding in findings))


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description="Kill the OMS, count its faults.")
    parser.add_argument("--kills", type=int, default=20, help="of each: web, worker, publisher, broker, PostgreSQL")
    parser.add_argument("--only", nargs="+", default=[], metavar="VICTIM", help="kill nothing but these")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=40.0, help="requests per second, all traders together")
    parser.add_argument("--pause", type=float, default=1.2, help="seconds of trading before a kill, on average")
    parser.add_argument("--hold", action="store_true", help="keep the OMS running at the end, for a look")
    return parser.parse_args(arguments)


def _trial(stack: Stack, given: argparse.Namespace) -> tuple[list[Finding], dict[str, object]]:
    from benchmarks.chaos import checking, killing, world  # Django is set up by now

    rng = Random(given.seed)
    exchange = Exchange(stack.exchange_port)
    exchange.prepare()
    world.prepare()
    trouble, record, over = Trouble(exchange, Random(given.seed + 1)), Record(), threading.Event()
    trouble.start()
    traders = [
        Trader(
            number, stack.web_port, login, trouble=trouble, record=record, rate=given.rate / len(LOGINS),
            rng=Random(f"{given.seed}:{number}"), over=over,
        )
        for number, login in enumerate(LOGINS)
    ]  # fmt: skip
    for trader in traders:
        trader.start()
    killer = killing.Killer(stack, exchange, given.only, given.kills, rng, taken=lambda: record.taken)
    _kill_all(killer, record, rng, given.pause)
    killer.wait_all_up()
    over.set()
    for trader in traders:
        trader.join()
    trouble.stop()
    console.print("faults off; everything has 30 s to come right")
    findings, seconds = checking.wait_until_right(exchange, record, SETTLE_SECONDS, _say)
    findings.append(checking.repeated(traders[0], traders[-1], record, REPEATED_KEYS))
    facts = checking.facts(record) | {"kills": dict(killer.done), "settled after s": seconds}
    return findings, facts


def _say(line: str) -> None:
    console.print(line, markup=False, soft_wrap=True)


def _kill_all(killer: "Killer", record: Record, rng: Random, pause: float) -> None:
    total, began = killer.left, time.monotonic()
    while killer.left:
        victim = killer.kill_next(rng.uniform(0.2, 2 * pause))
        seconds = time.monotonic() - began
        console.print(
            f"{total - killer.left:>4}/{total}  {seconds:4.0f} s  {victim:<9} killed;"
            f" {record.taken} orders taken, {sum(record.failures.values())} answers lost"
        )


def _report(findings: list[Finding], facts: dict[str, object], given: argparse.Namespace) -> None:
    table = Table(title=f"chaos, seed {given.seed}")
    table.add_column("must be zero")
    table.add_column("count", justify="right")
    for finding in findings:
        style = "red bold" if finding.wrong else "green"
        table.add_row(finding.rule, str(len(finding.wrong)), style=style)
    for name, value in facts.items():
        console.print(f"{name:>16}: {value}", markup=False)
    console.print(table)
    for finding in findings:
        for example in finding.wrong[:EXAMPLES]:
            console.print(f"{finding.rule}: {example}", markup=False, soft_wrap=True)
    RESULTS.mkdir(exist_ok=True)
    counts = {"seed": given.seed, "facts": facts, "wrong": {f.rule: list(f.wrong) for f in findings}}
    (RESULTS / "chaos.json").write_text(json.dumps(counts, indent=1, default=str))


if __name__ == "__main__":
    sys.exit(main())
