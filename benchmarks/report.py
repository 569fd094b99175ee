"""The one table, and the JSON beside it, which grows figure by figure, so that none is lost when a later one breaks."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure

RESULTS = Path(__file__).parent / "results"
PLACES = 14
LEAST_MILLISECONDS = 0.05


class Results:
    """The file of one run. Every part adds to it as soon as it is done, whichever process measured it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def begin(cls, folder: Path, *, at: datetime) -> "Results":
        """A new file named for the time."""
        folder.mkdir(parents=True, exist_ok=True)
        results = cls(folder / f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json")
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()}
        begun: dict[str, Any] = {
            "began_at": at.isoformat(),
            "machine": machine,
            "figures": [],
            "failures": {},
            "profile": None,
        }
        results._write(begun)
        return results

    def add(self, figure: Figure) -> None:
        """Write a figure as soon as it is measured, and say it in a line."""
        document = self.read()
        reached = {"ratio": figure.ratio, "times": figure.times, "reached": figure.reached}
        document["figures"].append(asdict(figure) | reached)
        sys.stderr.write(f"{figure.section}: {figure.name}: {_value(figure.value, figure.unit)}\n")
        self._write(document)

    def add_profile(self, profile: Mapping[str, Any]) -> None:
        """Write where the time of an order goes."""
        self._write(self.read() | {"profile": dict(profile)})

    def fail(self, part: str, reason: str) -> None:
        """Write that a part broke; the others go on."""
        document = self.read()
        document["failures"][part] = reason
        self._write(document)
        sys.stderr.write(f"{part} broke: {reason}\n")

    def read(self) -> dict[str, Any]:
        """The document so far."""
        document: dict[str, Any] = json.loads(self.file.read_text())
        return document

    def print(self) -> None:
        """The whole table."""
        Console(width=None if os.isatty(1) else 170).print(table(self.read()))

    def _write(self, document: Mapping[str, Any]) -> None:
        unfinished = self.file.with_suffix(".tmp")
        unfinished.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        unfinished.replace(self.file)


def table(document: Mapping[str, Any]) -> Table:
    """Figures by section with their targets; then where the time of one order goes, and what broke."""
    shown = Table("", "figure", "p50", "p99", "limit", "ratio", "target", "reached", "", title="Benchmarks")
    for column in shown.columns[1:6]:
        column.justify = "right"
        column.no_wrap = True
    figures = sorted((Figure.read(each) for each in document["figures"]), key=lambda figure: figure.section)
    section = ""
    for figure in figures:
        if figure.section != section:
            section = figure.section
            shown.add_section()
            shown.add_row(f"[bold]{section}")
        shown.add_row(*_row(figure))
    if document["profile"]:
        _add_profile(shown, figures, document["profile"])
    for part, reason in document["failures"].items():
        shown.add_section()
        shown.add_row(f"[bold]{part} broke", *[""] * 7, reason)
    return shown


def _row(figure: Figure) -> list[str]:
    return [
        figure.name, _value(figure.value, figure.unit), _ms(figure.p50), _ms(figure.p99),
        "–" if figure.limit is None else _value(figure.limit, figure.unit),
        _near(figure), str(figure.target or ""),
        {True: "yes", False: "no", None: ""}[figure.reached], figure.note,
    ]  # fmt: skip


def _near(figure: Figure) -> str:
    if figure.ratio is None or figure.times is None:
        return "–"
    in_times = figure.target is not None and figure.target.what == "times"
    return f"{figure.times:.1f} ×" if in_times else f"{figure.ratio:.2f}"


def _add_profile(shown: Table, figures: Sequence[Figure], profile: Mapping[str, Any]) -> None:
    shown.add_section()
    shown.add_row("[bold]where the time of one POST /orders goes")
    costly = next((figure for figure in figures if figure.cost), None)
    for service, cost in costly.cost.items() if costly else ():
        if cost >= LEAST_MILLISECONDS:
            limit = costly.limit_cost.get(service) if costly else None
            shown.add_row(f"processor time: {service}", f"{cost:.2f} ms", "", "", f"{limit:.2f} ms" if limit else "")
    for kind, cost in profile["kinds"]:
        shown.add_row(f"one client alone: {kind}", f"{cost:.2f} ms")
    for place, kind, cost in profile["places"][:PLACES]:
        shown.add_row(f"  {place}", f"{cost:.2f} ms", *[""] * 6, kind)
    for kind, connections in profile["database"][:6]:
        shown.add_row(f"8 clients: database connections {kind}", f"{connections:.2f}")


def _value(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.3f} s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"
