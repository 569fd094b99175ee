"""Partitions of the event log, made ahead of time: a missing month would refuse every order."""

from datetime import date, datetime

from django.db import connection, transaction

from oms.lib.clock import ist_date

MONTHS_AHEAD = 3


@transaction.atomic(durable=True)
def ensure_partitions(*, at: datetime) -> list[str]:
    """Create the partitions of this IST month and the three that follow where missing; returns all their names."""
    today = ist_date(at)
    with connection.cursor() as cursor:
        names = []
        for ahead in range(MONTHS_AHEAD + 1):
            years, month = divmod(today.month - 1 + ahead, 12)
            cursor.execute("SELECT compliance_create_event_partition(%s)", [date(today.year + years, month + 1, 1)])
            names.append(str(cursor.fetchone()[0]))
    return names


def months_ready(at: datetime) -> int:
    """How many of this and the following MONTHS_AHEAD months have a partition."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FROM generate_series(0, %s) AS m
               WHERE to_regclass('compliance_orderevent_'
                     || to_char(%s::date + make_interval(months => m), 'YYYYMM')) IS NOT NULL""",
            [MONTHS_AHEAD, ist_date(at).replace(day=1)],
        )
        return int(cursor.fetchone()[0])
