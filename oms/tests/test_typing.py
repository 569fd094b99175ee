"""Types reach the money: in the rooms that decide about it nothing is `Any` but what truly may be anything.

mypy lets an `Any` pass silently, and with it every wrong attribute of an order or an instrument. Those that are left
are JSON documents, rows of SQL and options handed on to Django. The list may only shrink.
"""

import ast
from collections.abc import Iterator

from oms.tests.test_architecture import name, sources

ROOMS = ("orders/services/", "orders/gateway/", "orders/reading/", "ledger/", "compliance/screening/")
#: The staff pages speak Django's admin, which has few types of its own.
OUTSIDE = ("ledger/admin/",)
#: How many a module may have; the others none.
LEFT = {
    "ledger/models.py": 4,
    "ledger/selectors.py": 1,
    "orders/reading/statistics.py": 1,
    "orders/reading/timeline.py": 2,
    "orders/services/broker_accounts.py": 2,
    "orders/services/desk.py": 3,
    "orders/services/endings.py": 1,
    "orders/services/fills.py": 1,
    "orders/services/placement.py": 2,
    "orders/services/surroundings.py": 1,
}


def anys(source: str) -> int:
    """How often a module says `Any`, in quoted annotations too; importing it does not count."""
    return sum(isinstance(node, ast.Name) and node.id == "Any" for node in _nodes(ast.parse(source)))


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        yield node
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            for part in ast.walk(annotation) if annotation is not None else ():
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield from ast.walk(ast.parse(part.value, mode="eval"))


def test_what_decides_about_money_is_typed() -> None:
    counts = {
        module: anys(path.read_text())
        for path in sources()
        if (module := name(path)).startswith(ROOMS) and not module.startswith(OUTSIDE)
    }
    assert {module: n for module, n in counts.items() if n > LEFT.get(module, 0)} == {}


def test_the_count_sees_every_way_of_saying_it() -> None:
    source = """from typing import Any
def f(a: Any, b: "QuerySet[Any]") -> "dict[str, Any]":
    c: list[Any] = []
    return {"Any": "Any other"}
"""
    assert anys(source) == 4
