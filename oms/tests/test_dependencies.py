"""What is imported is declared in pyproject.toml, and what is declared is used."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from django.conf import settings

ROOT: Path = settings.BASE_DIR
OURS = {"oms", "compliance", "ledger", "orders", "benchmarks"}
#: Distributions that one finds by another name than that of their modules, and those that others load by themselves.
LOADED_BY_OTHERS = {"cryptography", "djangorestframework-stubs", "pytest-randomly", "pytest-xdist", "setuptools"}


def _declared() -> tuple[set[str], set[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed, dev = project["project"]["dependencies"], project["dependency-groups"]["dev"]
    return {_name(one) for one in needed}, {_name(one) for one in dev}


def _name(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def _files(*, tests: bool) -> list[Path]:
    everything = [path for folder in sorted(OURS) for path in (ROOT / folder).rglob("*.py")]
    for_tests = {"tests", "testing.py", "benchmarks"}
    return [path for path in everything if tests is bool(for_tests & set(path.relative_to(ROOT).parts))]


def _imported(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """(distribution, where) of each import that is neither ours nor Python's."""
    distributions = packages_distributions()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                modules = [node.module]
            for top in {module.partition(".")[0] for module in modules} - OURS - set(sys.stdlib_module_names):
                yield _name(distributions.get(top, [top])[0]), str(path.relative_to(ROOT))


def test_what_the_product_imports_is_declared() -> None:
    needed, _ = _declared()
    assert {(name, where) for name, where in _imported(_files(tests=False)) if name not in needed} == set()


def test_what_tests_and_benchmarks_import_is_declared() -> None:
    needed, dev = _declared()
    assert {(name, where) for name, where in _imported(_files(tests=True)) if name not in needed | dev} == set()


def test_what_is_declared_is_used() -> None:
    places = ["Makefile", ".ci/run", ".pre-commit-config.yaml", "manage.py"]
    text = "\n".join((ROOT / place).read_text() for place in places)
    text += "\n".join(path.read_text() for tests in (False, True) for path in _files(tests=tests))
    text += (ROOT / "pyproject.toml").read_text().partition("[tool.ruff]")[2]
    modules: dict[str, set[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            modules.setdefault(_name(distribution), set()).add(module)
    needed, dev = _declared()
    unused = {
        name
        for name in needed | dev
        if not any(re.search(rf"\b{re.escape(word)}\b", text) for word in {name, *modules.get(name, ())})
    }
    assert unused - LOADED_BY_OTHERS == set()
