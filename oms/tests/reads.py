"""How many rows a piece of work reads, counted by PostgreSQL itself: a plan that goes wrong shows here and not in time."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, models

Tables = Sequence[type[models.Model]]


def never_analysed(tables: Tables) -> None:
    """Switch autovacuum off for them, which would set wrong beliefs right after a while."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ALTER TABLE {table._meta.db_table} SET (autovacuum_enabled = off)")


def analyse() -> None:
    """Let the planner believe that everything will stay as small as it is now."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


class Reads(int):
    """How many rows and index entries were read; where, when a test wants to know why there are so many."""

    where: dict[str, int]

    def __repr__(self) -> str:
        return f"{int(self)} {self.where}"


def rows_read(tables: Tables, work: Callable[[], Any], *, entries: bool = True) -> Reads:
    """Rows of the tables that `work` reads in whole transactions of this connection, and entries of their indexes.

    Without `entries` where many rows have just ended: their dead entries stay in an index until it is vacuumed.
    """
    before = _read_so_far(tables)
    work()
    after = _read_so_far(tables)
    where = {name: read - before.get(name, 0) for name, read in after.items() if read > before.get(name, 0)}
    names = {table._meta.db_table for table in tables}
    found = Reads(sum(read for name, read in where.items() if entries or name in names))
    found.where = where
    return found


def _read_so_far(tables: Tables) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute(
            "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
            " WHERE relname = ANY(%(tables)s) UNION ALL"
            " SELECT indexrelname, idx_tup_read FROM pg_stat_user_indexes"
            " WHERE relname = ANY(%(tables)s)",
            {"tables": [table._meta.db_table for table in tables]},
        )
        return {name: int(read) for name, read in cursor.fetchall()}
