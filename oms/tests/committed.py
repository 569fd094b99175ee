"""A database of its own for tests whose transactions must really commit: races, and what survives a crash.

Facts cannot be deleted or truncated here (the triggers are the point), so such a test works on a copy
of the migrated test database, which is dropped afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import connections
from psycopg import sql
from pytest_django.plugin import DjangoDbBlocker


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Every thread's connection goes to a fresh copy of the test database until the test ends."""
    with django_db_blocker.unblock(), _other_database(template=connections["default"].settings_dict["NAME"]):
        yield


@pytest.fixture
def empty_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Every thread's connection goes to a database without any table until the test ends, for migrations."""
    with django_db_blocker.unblock(), _other_database(template="template0"):
        yield


@contextmanager
def _other_database(*, template: str) -> Iterator[None]:
    connection = connections["default"]
    original: str = connection.settings_dict["NAME"]
    copy = f"{original}_committed"
    connection.close()
    _administer(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(copy)),
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(template)),
    )
    connection.settings_dict["NAME"] = copy
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original
        _administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))


def _administer(*statements: sql.Composed) -> None:
    parameters = {**connections["default"].get_connection_params(), "dbname": "postgres"}
    wanted = {name: parameters[name] for name in ("dbname", "host", "port", "user", "password") if name in parameters}
    with psycopg.connect(**wanted, autocommit=True) as administrator:
        for statement in statements:
            administrator.execute(statement)
