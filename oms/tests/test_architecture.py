"""What keeps the code the shape that docs/architecture.md says: who imports whom, sizes, names, docstrings."""

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

PACKAGES = ("oms", "compliance", "ledger", "orders")
LONGEST_MODULE = 400
LONGEST_FUNCTION = 60
MEDIAN_MODULE = 90
#: Lines of tests to one of source; to be raised towards 1.
LEAST_TESTS = 0.95
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def sources(*, tests: bool = False) -> list[Path]:
    """The project's own modules, without migrations; test modules only when asked for."""
    found = [path for package in PACKAGES for path in (settings.BASE_DIR / package).rglob("*.py")]
    return [path for path in found if not is_in(path, "migrations") and (tests or not is_in(path, "tests"))]


def is_in(path: Path, folder: str) -> bool:
    """Whether a folder of this name leads to the module; what leads to the project does not count."""
    return folder in path.relative_to(settings.BASE_DIR).parts


def name(path: Path) -> str:
    return str(path.relative_to(settings.BASE_DIR))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield f"{name(path)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_modules_and_functions_stay_small() -> None:
    lines = {name(path): path.read_text().count("\n") for path in sources()}
    assert [f"{module}: {count} lines" for module, count in lines.items() if count > LONGEST_MODULE] == []
    assert statistics.median(count for count in lines.values() if count) <= MEDIAN_MODULE
    long = [
        f"{where}: {count} lines" for path in sources() for where, count in functions(path) if count > LONGEST_FUNCTION
    ]
    assert long == []


def test_tests_keep_up_with_the_source() -> None:
    lines = {path: path.read_text().count("\n") for path in sources(tests=True)}
    tested = sum(count for path, count in lines.items() if is_in(path, "tests"))
    source = sum(lines.values()) - tested
    assert tested >= LEAST_TESTS * source, f"{tested} lines of tests to {source} of source"


def test_no_module_is_named_after_nothing() -> None:
    assert [name(path) for path in sources(tests=True) if {path.stem, *path.parts} & EMPTY_NAMES] == []


def test_every_module_says_what_belongs_in_it() -> None:
    silent = []
    for path in sources(tests=True):
        text = path.read_text()
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            silent.append(name(path))
    assert silent == []


@pytest.mark.django_db
def test_the_migrations_are_those_of_the_models() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


HEAD = {"event_seq", "event_hash"}
#: Who moves the head of a chain in memory, who writes it (the desk, with its order), and the pages that show it.
NAME_THE_HEAD = {
    "compliance/audit.py", "orders/services/desk.py", "compliance/admin/accounts.py", "compliance/admin/events.py",
}  # fmt: skip


def test_nobody_else_writes_the_head_of_a_chain() -> None:
    """An account's head is moved by its events, an order's by the desk: a second writer would be in their way."""
    places = {
        name(path)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Constant) and node.value in HEAD)
        or (isinstance(node, ast.keyword) and node.arg in HEAD)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in HEAD)
    }
    assert places == NAME_THE_HEAD


def test_the_map_names_every_room() -> None:
    """A newcomer finds each package in docs/architecture.md; `*` stands for any app."""
    page = (settings.BASE_DIR / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`([\w*/]+)/`", page))
    rooms = {str(path.parent.relative_to(settings.BASE_DIR)) for path in sources() if path.name == "__init__.py"}
    inner = {"oms/management/commands", "orders"}  # the app itself is all of its rooms
    missing = {room for room in rooms - inner if room not in named and f"*/{room.partition('/')[2]}" not in named}
    assert missing == set()
