"""`make bench` in small: every part still runs to its end, and every row of the table has its number."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Figure, Target, at_most
from benchmarks.parts import PARTS
from benchmarks.report import Results, table
from benchmarks.stack import ROOT

SECONDS = 400
ROWS = {
    "(a) POST /orders, durable commits": [
        "all on one account, a fresh ledger that was never analysed", "8 clients, 8 accounts",
        "8 clients, all on one account", "1 client",
    ],
    "(b) from 201 to the broker, 8 orders/s": [
        "acknowledged, recorded", "acknowledged, as a client sees it", "filled with postbacks, recorded",
        "filled with postbacks, as a client sees it", "filled by polling alone, recorded",
        "filled by polling alone, as a client sees it",
    ],
    "(c) applying the broker's book": [
        "all acknowledged for the first time", "nothing changed", "a fifth changed: filled, part-filled or cancelled",
    ],
    "(d) a list of 500 on one account": ["place_orders"],
    "(e) everything running: sent, filled, posted back": [
        *[f"{who}: {what}" for who in ("8 clients", "1 client")
          for what in ("accepted", "acknowledged", "from 201 to acknowledged")],
        "processor time of a whole life, all processes",
    ],
    "(f) idle, of one core": ["nothing traded yet", "after a day of some thousand orders"],
}  # fmt: skip
#: Beside these stands what the same work costs without us.
LIMITED = {
    "(a) POST /orders, durable commits": 3, "(b) from 201 to the broker, 8 orders/s": 6,
    "(c) applying the broker's book": 2, "(d) a list of 500 on one account": 1,
    "(e) everything running: sent, filled, posted back": 3,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.xdist_group("up")
def test_every_part_runs_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--results", str(tmp_path)]
    run = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    [file] = tmp_path.glob("*.json")
    document = json.loads(file.read_text())
    assert document["failures"] == {}, run.stderr
    assert run.returncode == 0, run.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for figure in document["figures"]:
        found.setdefault(figure["section"], []).append(figure)
    assert {section: sorted(f["name"] for f in figures) for section, figures in found.items()} == {
        section: sorted(names) for section, names in ROWS.items()
    }
    # In so short a time an idle process may not use one tick, and nothing be acknowledged.
    may_be_none = {*ROWS["(f) idle, of one core"], "8 clients: acknowledged", "1 client: acknowledged"}
    assert [f["name"] for f in document["figures"] if not f["value"] > 0 and f["name"] not in may_be_none] == []
    assert {s: n for s, figures in found.items() if (n := sum(bool(f["limit"]) for f in figures))} == LIMITED
    assert document["profile"]["kinds"]
    for name in (name for names in ROWS.values() for name in names):
        assert name.split()[0] in run.stdout, name


def test_what_was_measured_is_kept_when_a_later_part_breaks(tmp_path: Path) -> None:
    results = Results.begin(tmp_path, at=datetime(2026, 11, 26, tzinfo=UTC))
    fast = Figure("(a)", "fast", 90.0, "/s", 0.001, 0.002, 100.0, target=Target("ratio", 0.5))
    dear = Figure("(e)", "dear", 40.0, "ms", limit=2.0, target=at_most("times", 15))
    results.add(dear)
    results.add(fast)
    results.fail("book", "RuntimeError: broke")
    kept = Results(results.file).read()
    assert [Figure.read(figure) for figure in kept["figures"]] == [dear, fast]
    assert [(f["ratio"], f["times"], f["reached"]) for f in kept["figures"]] == [
        (0.05, 20.0, False),
        (0.9, 100 / 90, True),
    ]
    cells = [list(column.cells) for column in table(kept).columns]
    assert cells[0] == ["[bold](a)", "fast", "[bold](e)", "dear", "[bold]book broke"]
    assert cells[7] == ["", "yes", "", "no", ""]
    assert cells[8][-1] == "RuntimeError: broke"


def test_every_part_has_its_place() -> None:
    assert len(PARTS) == len(set(PARTS)) == 10
