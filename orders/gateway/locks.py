"""One at a time: what two processes must not do for the same broker account. Locks of rows are the services'."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error, connection

logger = structlog.get_logger(__name__)


@contextmanager
def alone(what: int, broker_account_id: int) -> Iterator[bool]:
    """Whether nobody else does this for the account now; the lock goes with the connection if the process dies.

    `what` and the account name a PostgreSQL advisory lock. Giving it back raises nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [what, broker_account_id])
        row = cursor.fetchone()
    is_alone = bool(row and row[0])
    locked_on = connection.connection
    try:
        yield is_alone
    finally:
        if is_alone and connection.connection is locked_on:  # else the lock has gone with its connection
            _unlock(what, broker_account_id)


def _unlock(what: int, broker_account_id: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [what, broker_account_id])
    except Error as error:
        logger.warning("lock_not_given_back", broker_account=broker_account_id, reason=str(error))
        connection.close()  # and with it the lock
