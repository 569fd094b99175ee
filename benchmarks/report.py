"""The one table, and the JSON beside it. Measures nothing."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from benchmarks.profile import Profile, write_folded

RESULTS = Path(__file__).parent / "results"
PLACES = 14
LEAST_MILLISECONDS = 0.05


def table(figures: Sequence[Figure], profile: Profile | None) -> Table:
    """Figures by section; then where the time of one order goes."""
    shown = Table("", "figure", "p50", "p99", "limit", "ratio", "", title="Benchmarks", title_justify="left")
    for column in shown.columns[1:6]:
        column.justify = "right"
        column.no_wrap = True
    section = ""
    for figure in figures:
        if figure.section != section:
            section = figure.section
            shown.add_section()
            shown.add_row(f"[bold]{section}")
        shown.add_row(
            figure.name, _value(figure.value, figure.unit), _ms(figure.p50), _ms(figure.p99),
            "–" if figure.limit is None else _value(figure.limit, figure.unit),
            "–" if figure.ratio is None else f"{figure.ratio:.2f}", figure.note,
        )  # fmt: skip
    if profile:
        _add_profile(shown, figures, profile)
    return shown


def _add_profile(shown: Table, figures: Sequence[Figure], profile: Profile) -> None:
    shown.add_section()
    shown.add_row("[bold]where the time of one POST /orders goes")
    costly = next((figure for figure in figures if figure.cost), None)
    for service, cost in costly.cost.items() if costly else ():
        if cost >= LEAST_MILLISECONDS:
            limit = costly.limit_cost.get(service) if costly else None
            shown.add_row(f"processor time: {service}", f"{cost:.2f} ms", "", "", f"{limit:.2f} ms" if limit else "")
    for kind, cost in profile.kinds:
        shown.add_row(f"one client alone: {kind}", f"{cost:.2f} ms")
    for place, kind, cost in profile.places[:PLACES]:
        shown.add_row(f"  {place}", f"{cost:.2f} ms", "", "", "", "", kind)
    for kind, connections in profile.database[:6]:
        shown.add_row(f"8 clients: database connections {kind}", f"{connections:.2f}")


def _value(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.3f} s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f} ms"


def publish(figures: Sequence[Figure], profile: Profile | None, *, began: datetime) -> Path:
    """Print the table and write `results/<time>.json`, and the folded stacks of the profile beside it."""
    Console(width=None if os.isatty(1) else 150).print(table(figures, profile))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{began.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(_document(figures, profile, began), indent=1, ensure_ascii=False) + "\n")
    if profile:
        write_folded(profile, file.with_suffix(".folded"))
    return file


def _document(figures: Sequence[Figure], profile: Profile | None, began: datetime) -> dict[str, Any]:
    return {
        "began_at": began.isoformat(),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()},
        "figures": [asdict(figure) | {"ratio": figure.ratio} for figure in figures],
        "profile": {k: v for k, v in asdict(profile).items() if k != "stacks"} if profile else None,
    }
