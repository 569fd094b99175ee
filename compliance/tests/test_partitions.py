"""The log's months are there before they are needed, over a year's end too, by the date in India."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from compliance.services.partitions import ensure_partitions, months_ready

pytestmark = pytest.mark.django_db


def months(names):
    return [name.rpartition("_")[2] for name in names]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2031, 1, 15, tzinfo=UTC), ["203101", "203102", "203103", "203104"]),
        (datetime(2031, 9, 30, 12, tzinfo=UTC), ["203109", "203110", "203111", "203112"]),
        (datetime(2031, 10, 1, tzinfo=UTC), ["203110", "203111", "203112", "203201"]),
        (datetime(2031, 12, 31, tzinfo=UTC), ["203112", "203201", "203202", "203203"]),
        # 19:00 in London on New Year's Eve is the new year in India
        (datetime(2031, 12, 31, 19, tzinfo=UTC), ["203201", "203202", "203203", "203204"]),
    ],
)
def test_three_months_ahead(at, expected):
    assert months_ready(at) == 0
    assert months(ensure_partitions(at=at)) == expected
    assert months_ready(at) == 4
    assert months(ensure_partitions(at=at)) == expected, "a second time finds them there"


def test_a_migrated_database_is_ready():
    from oms.lib.clock import now

    assert months_ready(now()) == 4


def test_a_month_that_is_near_its_end_of_supply_is_counted():
    ensure_partitions(at=datetime(2031, 1, 15, tzinfo=UTC))
    assert months_ready(datetime(2031, 3, 1, tzinfo=UTC)) == 2


def test_a_new_month_takes_its_days_and_is_guarded():
    (name, *_) = ensure_partitions(at=datetime(2032, 2, 15, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = %s", [name])
        assert cursor.fetchone() == ("FOR VALUES FROM ('2032-02-01') TO ('2032-03-01')",)
        cursor.execute(
            "SELECT array_agg(tgname::text || tgenabled::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = %s::regclass"
            " AND NOT tgisinternal",
            [name],
        )
        assert cursor.fetchone() == (["check_insertA", "move_headA", "refuse_changeA", "refuse_truncateA"],)
