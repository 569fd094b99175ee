"""One at a time: what two processes must not do for the same broker account. Locks of rows are the services'."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def alone(what: int, broker_account_id: int) -> Iterator[bool]:
    """Whether nobody else does this for the account now; the lock goes with the connection if the process dies.

    `what` and the account name a PostgreSQL advisory lock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [what, broker_account_id])
        row = cursor.fetchone()
        is_alone = bool(row and row[0])
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [what, broker_account_id])
