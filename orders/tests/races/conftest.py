"""Transactions that really commit, and threads that are proven to meet.

A race that only happens now and then proves nothing. Here a gate holds the row that all contenders need;
it opens once the database itself shows every one of them waiting for it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

WAIT_SECONDS = 10


@pytest.fixture
def db(committed_db: None) -> None:
    """The cast lives in the database that commits."""


def waiting() -> int:
    """How many sessions of this database wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees the first look again and again
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(cursor.fetchone()[0])


def until_waiting(count: int, contenders: "Sequence[Future[Any]]" = ()) -> None:
    """Until so many wait for a lock. Raises AssertionError at the deadline: then this was no race."""
    deadline = time.monotonic() + WAIT_SECONDS
    while waiting() < count:
        done = [result_of(one) for one in contenders if one.done()]
        assert time.monotonic() < deadline, f"{waiting()} of {count} wait for the lock; {done!r} did not"
        time.sleep(0.005)


def result_of(future: "Future[Any]") -> Any:
    """What the work returned, or the exception that it raised."""
    error = future.exception(WAIT_SECONDS)
    return future.result() if error is None else error


def in_own_connection(work: Callable[[], Any]) -> Callable[[], Any]:
    """The same work for a thread, which must give its connection back."""

    def run() -> Any:
        try:
            return work()
        finally:
            connection.close()

    return run


@contextmanager
def _held(table: str, pk: Any) -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'SELECT 1 FROM "{table}" WHERE id = %s FOR UPDATE', [pk])  # noqa: S608 - our own tables
        yield


Race = Callable[..., list[Any]]


@pytest.fixture
def race() -> Race:
    """`race(row, *work)`: start everything while the row is held, let go once all of it waits; results in order.

    What waits later than for that row (one gate is enough to make them meet) is left to `waiting_for`.
    """

    def run(row: Any, *work: Callable[[], Any], waiting_for: int | None = None) -> list[Any]:
        with ThreadPoolExecutor(len(work)) as pool:
            with _held(row._meta.db_table, row.pk):
                futures = [pool.submit(in_own_connection(one)) for one in work]
                until_waiting(len(work) if waiting_for is None else waiting_for, futures)
            return [result_of(future) for future in futures]

    return run
