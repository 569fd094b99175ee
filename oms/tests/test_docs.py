"""The pages say what the code does, as far as a machine can tell: drawn states, links, settings, alerts."""

import re
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from oms.management.commands.state_diagram import (
    AMENDMENT_BOXES,
    AMENDMENTS,
    BEGIN,
    BOXES,
    END,
    ORDERS,
    PAGE,
    Machine,
    amendment_diagram,
    order_diagrams,
    redrawn,
    table,
)

ROOT: Path = settings.BASE_DIR
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
ALERT = re.compile(r'\bkind="([A-Z_]+)", (?:severity|at)=|^\s+kind="([A-Z_]+)",$', re.MULTILINE)


def _sources(*folders: str) -> str:
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    ours = (file for file in files if "tests" not in file.relative_to(ROOT).parts)
    return "\n".join(file.read_text(encoding="utf-8") for file in ours)


def test_the_states_on_the_page_are_those_of_the_code() -> None:
    call_command("state_diagram", "--check", stdout=StringIO())


def test_a_page_that_is_out_of_date_is_an_error_until_it_is_drawn_anew(tmp_path: Path) -> None:
    page = tmp_path / PAGE
    page.parent.mkdir()
    page.write_text(f"before\n{BEGIN}\nan old table\n{END}\nafter\n", encoding="utf-8")
    with override_settings(BASE_DIR=tmp_path):
        with pytest.raises(CommandError, match="out of date: run manage.py state_diagram"):
            call_command("state_diagram", "--check")
        assert "an old table" in page.read_text(encoding="utf-8")
        call_command("state_diagram", stdout=StringIO())
        call_command("state_diagram", "--check", stdout=StringIO())
    drawn = page.read_text(encoding="utf-8")
    assert drawn.startswith("before\n")
    assert drawn.endswith("\nafter\n")
    assert "an old table" not in drawn


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(CommandError, match="must hold the lines"):
        redrawn(f"{END}\n{BEGIN}\n")


@pytest.mark.parametrize(("machine", "pairs"), [(ORDERS, 12 * 13), (AMENDMENTS, 7 * 9)])
def test_the_table_has_every_pair(machine: Machine, pairs: int) -> None:
    head, _rule, *rows = table(machine).strip().splitlines()
    events = [cell.strip(" `") for cell in head.strip("|").split("|")][1:]
    said = {
        (cells[0].strip(" *"), event): cell.strip()
        for row in rows
        for cells in [row.strip("|").split("|")]
        for event, cell in zip(events, cells[1:], strict=True)
    }
    assert len(said) == pairs
    assert said == {(s, e): machine.table.get((s, e), "·") for s in machine.states for e in machine.events}


@pytest.mark.parametrize(
    ("diagram", "boxes", "machine"),
    [(order_diagrams(), BOXES, ORDERS), (amendment_diagram(), AMENDMENT_BOXES, AMENDMENTS)],
    ids=["orders", "amendments"],
)
def test_the_arrows_are_every_pair_once(diagram: str, boxes: dict[str, list[str]], machine: Machine) -> None:
    arrows = re.findall(r"^ +(\w+) --> (\w+): (.+)$", diagram, re.MULTILINE)
    drawn = [
        (state, event, target)
        for source, target, events in arrows
        for state in boxes.get(source, (source,))
        for event in events.split(", ")
    ]
    assert sorted(drawn) == sorted((source, event, target) for (source, event), target in machine.table.items())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text(encoding="utf-8")) if not t.startswith(("http:", "https:"))]
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_imports_is_there(page: Path) -> None:
    """A snippet of the runbook is needed on the worst day."""
    for module, names in re.findall(
        r"from ((?:oms|orders|ledger|compliance)[\w.]*) import ([\w, ]+)", page.read_text()
    ):
        found = import_module(module)
        for name in names.split(","):
            assert hasattr(found, name.strip()) or import_module(f"{module}.{name.strip()}")


def test_the_readme_knows_every_variable_of_the_settings() -> None:
    source = (ROOT / "oms" / "settings.py").read_text(encoding="utf-8")
    variables = set(re.findall(r'env\.\w+\(\s*"(\w+)"', source))
    set_by_up = {"OMS_PAPER_EXCHANGE_URL"}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(variables) > 15
    assert sorted(name for name in variables - set_by_up if f"`{name}`" not in readme) == []


def test_the_runbook_says_what_to_do_about_every_alert() -> None:
    kinds = {a or b for a, b in ALERT.findall(_sources("orders", "ledger", "compliance"))}
    assert {"OVERDRAFT", "LATE_FILL", "BROKER_SESSION"} <= kinds
    runbook = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert sorted(kind for kind in kinds if f"| `{kind}` |" not in runbook) == []


def test_decisions_are_numbered_without_gaps_and_name_what_was_not_taken() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert decisions
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))
    for page in decisions:
        text = page.read_text(encoding="utf-8")
        for heading in ("## Context", "## Decision", "## Consequences", "## Alternatives"):
            assert heading in text, f"{page.name} has no {heading}"
