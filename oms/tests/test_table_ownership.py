"""SQL stays at home: no app names the tables of another one, past the import contracts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.apps import apps

from oms.tests.test_architecture import name, sources

#: Who is who is asked of Django's own tables: accounts have members, and a login can be ended.
ALSO = {"compliance": ("auth", "token_blacklist")}
#: What stands before the name of a table.
NAMED = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE|TABLE|ONLY|USING)\s+"?([a-z][a-z0-9_]*)')


def tables() -> dict[str, str]:
    """Every table of the project, with the app that owns it."""
    return {model._meta.db_table: model._meta.app_label for model in apps.get_models(include_auto_created=True)}


def strings(source: str) -> Iterator[tuple[int, str]]:
    """The string constants of a module with their lines, those inside f-strings included, docstrings not."""
    tree = ast.parse(source)
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value


def strangers(app: str, source: str) -> list[tuple[int, str]]:
    """The tables of other apps that a module of `app` names, with the lines."""
    allowed = (app, *ALSO.get(app, ()))
    owners = tables()
    return [
        (line + text[: found.start()].count("\n"), found[1])
        for line, text in strings(source)
        for found in NAMED.finditer(text)
        if owners.get(found[1], app) not in allowed
    ]


def test_no_app_reads_the_tables_of_another() -> None:
    found = [
        f"{name(path)}:{line} names {table}"
        for path in sources()
        for line, table in strangers(_app(path), path.read_text())
    ]
    assert found == []


def test_the_test_sees_what_it_looks_for() -> None:
    source = '''"""Of ledger_position."""
def f(state):
    return f"""SELECT 1
        FROM orders_order AS o
        JOIN ledger_position WHERE {state}""", "compliance_account_changelist"
'''
    assert strangers("orders", source) == [(5, "ledger_position")]
    assert strangers("compliance", """x = 'JOIN auth_user UPDATE "orders_order"'""") == [(1, "orders_order")]


def _app(path: Path) -> str:
    return name(path).partition("/")[0]
