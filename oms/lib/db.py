"""Rows in sets: the few statements that the hot paths need beyond the ORM.

An insert or update of n rows is one prepared statement over n-element arrays, so its text does
not depend on n and PostgreSQL plans it once. Everything else uses the ORM.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from django.db import connection, models
from django.db.backends.utils import CursorWrapper
from psycopg import sql

M = TypeVar("M", bound=models.Model)
_TYPE_NAMES = {"bigserial": "bigint", "serial": "integer"}


def require_transaction() -> None:
    """Refuse to run outside a transaction: inner writers join their caller's, they never open one."""
    if not connection.in_atomic_block:
        raise RuntimeError("this writer must be called inside its caller's transaction")


def prepared_cursor() -> CursorWrapper:
    """A cursor that binds on the server and prepares what repeats, seen by Django's query log."""
    connection.ensure_connection()
    raw: Any = psycopg.Cursor(connection.connection)
    return connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)


@contextmanager
def one_round_trip() -> Iterator[None]:
    """Send the statements inside in one go; the first error surfaces at the end of the block."""
    connection.ensure_connection()
    with connection.connection.pipeline():
        yield


def _array_type(field: "models.Field[Any, Any]") -> str:
    db_type = (field.rel_db_type(connection) if not field.remote_field else field.db_type(connection)) or "text"
    base = db_type.split("(")[0]
    return f"{_TYPE_NAMES.get(base, base)}[]"


@lru_cache(maxsize=64)
def _insert_statement(model: type[models.Model], names: tuple[str, ...]) -> tuple[sql.Composed, tuple[str, ...]]:
    fields = [model._meta.get_field(name) for name in names]
    arrays = sql.SQL(", ").join(sql.SQL("%s::" + _array_type(f)) for f in fields)  # type: ignore[arg-type]
    columns = sql.SQL(", ").join(sql.Identifier(f.column) for f in fields)  # type: ignore[union-attr]
    statement = sql.SQL("INSERT INTO {} ({}) SELECT * FROM unnest({})").format(
        sql.Identifier(model._meta.db_table), columns, arrays
    )
    return statement, tuple(f.attname for f in fields)  # type: ignore[union-attr]


def insert_rows(model: type[models.Model], names: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Insert objects with the named fields as columns, in the order given. Nothing to do for an empty list."""
    if not rows:
        return
    statement, attributes = _insert_statement(model, names)
    with prepared_cursor() as cursor:
        cursor.execute(statement, [[getattr(row, a) for row in rows] for a in attributes])


@lru_cache(maxsize=64)
def _update_statement(model: type[models.Model], names: tuple[str, ...]) -> tuple[sql.Composed, tuple[str, ...]]:
    pk = model._meta.pk
    fields = [model._meta.get_field(name) for name in names]
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = new.{}").format(sql.Identifier(f.column), sql.Identifier(f.column))  # type: ignore[union-attr]
        for f in fields
    )
    keyed = [pk, *fields]
    arrays = sql.SQL(", ").join(sql.SQL("%s::" + _array_type(f)) for f in keyed)  # type: ignore[arg-type]
    columns = sql.SQL(", ").join(sql.Identifier(f.column) for f in keyed)  # type: ignore[union-attr]
    statement = sql.SQL("UPDATE {table} AS old SET {set} FROM unnest({arrays}) AS new({columns}) WHERE old.{pk} = new.{pk}")
    return statement.format(
        table=sql.Identifier(model._meta.db_table),
        set=assignments,
        arrays=arrays,
        columns=columns,
        pk=sql.Identifier(pk.column),  # type: ignore[union-attr]
    ), tuple(f.attname for f in keyed)  # type: ignore[union-attr]


def update_rows(model: type[models.Model], names: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Write the named fields of objects that the caller holds locked, by primary key."""
    if not rows:
        return
    statement, attributes = _update_statement(model, names)
    with prepared_cursor() as cursor:
        cursor.execute(statement, [[getattr(row, a) for row in rows] for a in attributes])


def fetch_rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a prepared read. `parameters` are bound by name on the server."""
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def distinct(values: Iterable[Any]) -> list[Any]:
    """The distinct values that are not None, ascending: the one order in which rows are locked."""
    return sorted({v for v in values if v is not None})


@lru_cache(maxsize=64)
def _select_list(model: type[models.Model], alias: str) -> tuple[str, tuple[str, ...]]:
    fields = model._meta.concrete_fields
    return ", ".join(f'{alias}."{f.column}"' for f in fields), tuple(f.attname for f in fields)


def fetch_models(model: type[M], clauses: str, parameters: Mapping[str, Any]) -> list[M]:
    """Whole rows of `model`, read by a prepared statement. `clauses` follow `FROM table AS t`."""
    columns, names = _select_list(model, "t")
    rows = fetch_rows(f'SELECT {columns} FROM "{model._meta.db_table}" AS t {clauses}', parameters)  # noqa: S608
    return [model.from_db(connection.alias, names, row) for row in rows]
