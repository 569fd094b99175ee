"""Rows in sets: the few statements that the hot paths need beyond the ORM.

An insert or update of n rows is one prepared statement over n-element arrays, so its text does
not depend on n and PostgreSQL plans it once. A single row goes as plain values: a hundred arrays of
one element cost more than the insert. Everything else uses the ORM.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
from django.core.signals import request_finished, request_started
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.utils import CursorWrapper
from django.dispatch import receiver
from fernet_fields import EncryptedField

from oms.lib.arrays import Writer, array_writer

M = TypeVar("M", bound=models.Model)
T = TypeVar("T")
U = TypeVar("U")
_PLAIN_TYPES = {"bigserial": "bigint", "serial": "integer"}


#: So long after a request used its connection without an error, the next one does not ask first whether it still works.
TRUSTED_SECONDS = 1.0


@receiver(request_started, dispatch_uid="trust_what_just_worked")
def _trust_what_just_worked(**_signal: Any) -> None:
    """Spare a busy process one round trip in each request; one whose connection broke since then fails."""
    if time.monotonic() - getattr(connection, "used_at", -TRUSTED_SECONDS) < TRUSTED_SECONDS:
        connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs do not know it


@receiver(request_finished, dispatch_uid="note_what_just_worked")
def _note_what_just_worked(**_signal: Any) -> None:
    connection.used_at = time.monotonic()  # type: ignore[attr-defined]  # ours, on this thread's connection


def require_transaction() -> None:
    """Refuse to run outside a transaction: inner writers join their caller's, they never open one."""
    if not connection.in_atomic_block:
        raise RuntimeError("this writer must be called inside its caller's transaction")


def prepared_cursor() -> CursorWrapper:
    """A cursor that binds on the server and prepares what repeats; Django's own while queries are logged."""
    conn = connections[DEFAULT_DB_ALIAS]  # `connection` would look it up at each of its uses
    if conn.queries_logged:
        return conn.cursor()
    conn.ensure_connection()
    raw: Any = psycopg.Cursor(conn.connection)
    return conn.make_cursor(raw)


@contextmanager
def one_round_trip() -> Iterator[None]:
    """Send the statements inside in one go. Nothing may be read inside; the first error surfaces at the end."""
    conn = connections[DEFAULT_DB_ALIAS]
    if conn.queries_logged:  # one by one, so that each shows with its time and its error
        yield
        return
    conn.ensure_connection()
    with conn.wrap_database_errors, conn.connection.pipeline():
        yield


#: Takes the value of one column from an object, as the driver wants it.
Getter = Callable[[Any], Any]


class _Column(NamedTuple):
    """One column of a statement: its quoted name, its type in SQL, and what takes and writes its values."""

    name: str
    type: str
    value: Getter
    array: Writer


def _columns(model: type[models.Model], names: Iterable[str]) -> list[_Column]:
    fields: list[Any] = [model._meta.pk if name == "pk" else model._meta.get_field(name) for name in names]
    types = [_type_name(field) for field in fields]
    return [
        _Column(f'"{field.column}"', type_name, _getter(field), array_writer(type_name))
        for field, type_name in zip(fields, types, strict=True)
    ]


def _getter(field: Any) -> Getter:
    value: Getter = attrgetter(field.attname)
    if isinstance(field, models.JSONField):
        return lambda row: field.get_db_prep_value(value(row), connection)
    return value


def _type_name(field: Any) -> str:
    db_type = field.db_type(connection) if field.remote_field else field.rel_db_type(connection)
    return _PLAIN_TYPES.get(db_type, str(db_type).partition("(")[0])


@lru_cache(maxsize=64)
def _insert_statement(
    model: type[models.Model], names: tuple[str, ...], on_conflict: str, *, many: bool
) -> tuple[str, list[_Column]]:
    columns = _columns(model, names)
    source = f"SELECT * FROM unnest({_arrays(columns)})" if many else f"VALUES ({_values(columns)})"  # noqa: S608
    conflict = f" ON CONFLICT {on_conflict}" if on_conflict else ""
    return f'INSERT INTO "{model._meta.db_table}" AS old ({_names(columns)}) {source}{conflict}', columns


def _names(columns: Iterable[_Column]) -> str:
    return ", ".join(column.name for column in columns)


def _values(columns: Iterable[_Column]) -> str:
    return ", ".join(f"%s::{column.type}" for column in columns)


def _arrays(columns: Iterable[_Column]) -> str:
    return ", ".join(f"%s::{column.type}[]" for column in columns)


def _run(statement: str, columns: Sequence[_Column], rows: Sequence[Any]) -> None:
    if len(rows) == 1:
        parameters = [column.value(rows[0]) for column in columns]
    else:
        parameters = [column.array(map(column.value, rows)) for column in columns]
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)


def insert_rows(
    model: type[models.Model], names: tuple[str, ...], rows: Sequence[Any], *, on_conflict: str = ""
) -> None:
    """Insert objects with the named fields as columns, in the order given. Nothing to do for an empty list.

    `on_conflict` says in SQL what becomes of a row that is there already; it is called `old`, the new one `excluded`.
    """
    if rows:
        statement, columns = _insert_statement(model, names, on_conflict, many=len(rows) > 1)
        _run(statement, columns, rows)


@lru_cache(maxsize=64)
def _update_statement(model: type[models.Model], names: tuple[str, ...], *, many: bool) -> tuple[str, list[_Column]]:
    columns = _columns(model, ("pk", *names))
    pk, *changed = columns
    assignments = ", ".join(f"{column.name} = new.{column.name}" for column in changed)
    source = f"unnest({_arrays(columns)})" if many else f"(VALUES ({_values(columns)}))"
    return (
        f'UPDATE "{model._meta.db_table}" AS old SET {assignments} '  # noqa: S608
        f"FROM {source} AS new({_names(columns)}) WHERE old.{pk.name} = new.{pk.name}"
    ), columns


def update_rows(model: type[models.Model], names: tuple[str, ...], rows: Sequence[Any]) -> None:
    """Write the named fields of objects that the caller holds locked, by primary key."""
    if rows:
        statement, columns = _update_statement(model, names, many=len(rows) > 1)
        _run(statement, columns, rows)


def execute(statement: str, parameters: Mapping[str, Any]) -> None:
    """A prepared statement that returns no rows."""
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)


def fetch_rows(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a prepared read. `parameters` are bound by name on the server."""
    with prepared_cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def distinct(values: Iterable[Any]) -> list[Any]:
    """The distinct values that are not None, ascending: the one order in which rows are locked."""
    return sorted({v for v in values if v is not None})


Converter = Callable[[Any], Any]


@lru_cache(maxsize=64)
def _selection(model: type[models.Model]) -> tuple[str, tuple[str, ...], tuple[tuple[int, Converter], ...]]:
    """Select list, attribute names, and for the columns that need it how a value becomes Python's.

    Encrypted columns are left deferred: decrypting is dear, and who locks a row seldom needs its secrets.
    """
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, EncryptedField)]
    convert = tuple((i, _converter(f)) for i, f in enumerate(fields) if hasattr(f, "from_db_value"))
    return ", ".join(f't."{f.column}"' for f in fields), tuple(f.attname for f in fields), convert


def _converter(field: Any) -> Converter:
    return lambda value: field.from_db_value(value, None, connection)


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """A read not yet made: a statement, its parameters, and what its rows become. Several share a round trip."""

    statement: str
    parameters: Mapping[str, Any]
    parse: Callable[[list[tuple[Any, ...]]], T]

    def then(self, change: "Callable[[T], U]") -> "Read[U]":
        """The same read, its result passed on through `change`."""
        return Read(self.statement, self.parameters, lambda rows: change(self.parse(rows)))


#: For the rest of the transaction prepared statements are planned once and for all. (A round trip outside of any is a
#: transaction of its own.) PostgreSQL plans those with arrays anew each time, which for the small reads of one order is
#: half their cost; for large arrays it is worth it.
PLANNED_ONCE: Read[None] = Read("SELECT set_config('plan_cache_mode', 'force_generic_plan', true)", {}, lambda _: None)


def nothing_asked(wanted: Read[T]) -> Read[T]:
    """The same read where its answer is known to be empty: no statement is made."""
    return Read("", {}, wanted.parse)


def read(wanted: Read[T]) -> T:
    """Make one read."""
    return wanted.parse(fetch_rows(wanted.statement, wanted.parameters) if wanted.statement else [])


def read_all(*wanted: Read[Any]) -> list[Any]:
    """Make several reads in one round trip, each seeing what was committed when it ran; results in order."""
    cursors = [prepared_cursor() if one.statement else None for one in wanted]
    if any(cursors):
        with one_round_trip():
            for cursor, one in zip(cursors, wanted, strict=True):
                if cursor is not None:
                    cursor.execute(one.statement, one.parameters)
    return [one.parse(cursor.fetchall() if cursor else []) for cursor, one in zip(cursors, wanted, strict=True)]


def model_read(model: type[M], clauses: str, parameters: Mapping[str, Any]) -> Read[list[M]]:
    """A read of whole rows; see `fetch_models`."""
    columns, made = model_columns(model)
    statement = f'SELECT {columns} FROM "{model._meta.db_table}" AS t {clauses}'  # noqa: S608
    return Read(statement, parameters, lambda rows: [made(row) for row in rows])


def model_columns(model: type[M]) -> tuple[str, Callable[[Sequence[Any]], M]]:
    """The select list of a model's table, named `t`, and what makes an object of the values of such a row."""
    columns, names, convert = _selection(model)
    return columns, lambda row: model.from_db(DEFAULT_DB_ALIAS, names, _converted(row, convert))


def fetch_models(model: type[M], clauses: str, parameters: Mapping[str, Any]) -> list[M]:
    """Rows of `model` as objects, read by a prepared statement. `clauses` follow `FROM table AS t`."""
    return read(model_read(model, clauses, parameters))


def _converted(row: Sequence[Any], convert: Sequence[tuple[int, Converter]]) -> Sequence[Any]:
    if not convert:
        return row
    values = list(row)
    for index, converter in convert:
        values[index] = converter(values[index])
    return values
