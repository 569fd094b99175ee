"""What the database itself refuses of the event log, on the parent and on every partition, whoever asks."""

# ruff: noqa: S608 - table names are those of the partitions themselves

import hashlib
from datetime import date

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from compliance.models import OrderEvent
from oms.lib.clock import ist_date, now
from orders.tests.factories import place

pytestmark = pytest.mark.django_db


def execute(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall() if cursor.description else None


def partitions():
    return [
        name
        for (name,) in execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'compliance_orderevent'::regclass ORDER BY 1"
        )
    ]


def insert(*, on="compliance_orderevent", trade_date=None, c14n=b"{}", prev=bytes(32), digest=None, seq=1, xid=0):
    digest = hashlib.sha256(b"\x00" + prev + c14n).digest() if digest is None else digest
    return execute(
        f"""INSERT INTO {on} (trade_date, order_id, account_id, seq, event_type, actor_type, actor_id, session_id,
                api_key_id, source_ip, channel, recorded_at, broker_time, c14n, prev_hash, hash, xid)
            VALUES (%s, gen_random_uuid(), 1, %s, 'X', 'X', '', '', '', '', '', now(), '', %s, %s, %s, %s)
            RETURNING id, xid""",
        trade_date or ist_date(now()), seq, c14n, prev, digest, xid,
    )  # fmt: skip


@pytest.fixture(params=["origin", "replica"])
def role(request):
    """As an ordinary session, and as one that has switched ordinary triggers off."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")  # what is pending would forbid ALTER TABLE and TRUNCATE by itself
    execute(f"SET LOCAL session_replication_role = {request.param}")
    yield request.param
    execute("SET LOCAL session_replication_role = origin")


@pytest.fixture
def rows():
    """One event in every partition."""
    for name in partitions():
        month = name.rpartition("_")[2]
        insert(trade_date=date(int(month[:4]), int(month[4:]), 15))


TABLES = range(-1, 5)
"""-1 is the parent, the others its partitions: last month's, this month's, and three ahead."""


def table(number):
    return "compliance_orderevent" if number < 0 else partitions()[number]


def test_there_are_five_partitions():
    assert len(partitions()) == 5


@pytest.mark.parametrize("number", TABLES)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET event_type = 'Y'",
        "UPDATE {} SET seq = seq",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "TRUNCATE {} CASCADE",
    ],
)
def test_nothing_changes_or_disappears(rows, role, number, statement):
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        execute(statement.format(table(number)))
    assert OrderEvent.objects.filter(event_type="X").count() == len(TABLES) - 1


@pytest.mark.parametrize("number", TABLES)
@pytest.mark.parametrize("wrong", [bytes(32), hashlib.sha256(b"{}").digest()])
def test_a_wrong_hash_is_refused(role, number, wrong):
    month = partitions()[max(number, 0)].rpartition("_")[2]
    with pytest.raises(IntegrityError, match="hash does not match"), transaction.atomic():
        insert(on=table(number), trade_date=date(int(month[:4]), int(month[4:]), 15), digest=wrong)


@pytest.mark.parametrize("field", ["prev", "digest"])
def test_a_hash_has_32_bytes(field):
    with pytest.raises(DatabaseError), transaction.atomic():
        insert(**{field: bytes(31)})


def test_a_sequence_begins_at_one():
    with pytest.raises(DatabaseError, match="seq"), transaction.atomic():
        insert(seq=0)


@pytest.mark.parametrize("number", [-1, 1])
def test_the_transaction_id_cannot_be_forged(role, number):
    """Readers in commit order rely on it: one from the past would never be published."""
    ((_, xid),) = insert(on=table(number), xid=1)
    assert xid == execute("SELECT pg_current_xact_id()::text::bigint")[0][0]


def test_the_id_cannot_be_chosen():
    with pytest.raises(DatabaseError, match="GENERATED ALWAYS"), transaction.atomic():
        execute("INSERT INTO compliance_orderevent (id, trade_date) VALUES (1, now())")


def test_a_detached_partition_is_still_guarded(rows, role):
    """DETACH drops the triggers that a parent lent; these are the partition's own."""
    name = partitions()[1]
    execute(f"ALTER TABLE compliance_orderevent DETACH PARTITION {name}")
    for statement in (f"UPDATE {name} SET event_type = 'Y'", f"DELETE FROM {name}", f"TRUNCATE {name}"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            execute(statement)
    with pytest.raises(IntegrityError, match="hash does not match"), transaction.atomic():
        execute(
            f"INSERT INTO {name} SELECT id + 1000000, trade_date, order_id, account_id, seq + 1, event_type, actor_type,"
            " actor_id, session_id, api_key_id, source_ip, channel, recorded_at, broker_time, '\\x00'::bytea, prev_hash,"
            f" hash, xid FROM {name} LIMIT 1"
        )


def test_a_month_without_partition_is_an_error_and_not_a_heap():
    with pytest.raises(DatabaseError, match="no partition"), transaction.atomic():
        insert(trade_date=date(1999, 1, 1))
    assert execute(
        "SELECT count(*) FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid"
        " WHERE i.inhparent = 'compliance_orderevent'::regclass AND pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT'"
    ) == [(0,)]


def test_no_foreign_key_points_at_the_log():
    """It would block detaching a month."""
    assert execute(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confrelid = 'compliance_orderevent'::regclass"
    ) == [(0,)]


def test_every_partition_has_every_guard_always_on():
    guards = execute(
        """SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger
           WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'compliance_orderevent%' ORDER BY 1, 2"""
    )
    own = [
        (name, guard, "A") for name in partitions() for guard in ("check_insert", "refuse_change", "refuse_truncate")
    ]
    assert sorted(guards) == sorted([("compliance_orderevent", "refuse_truncate", "A"), *own])


def test_a_real_order_cannot_be_rewritten(account, sbin):
    order = place()
    for attempt in (
        lambda: OrderEvent.objects.filter(order_id=order.pk).update(actor_id="somebody else"),
        lambda: OrderEvent.objects.filter(order_id=order.pk).delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            attempt()
