"""What the database itself refuses of the event log, on the parent and on every partition, whoever asks."""

# ruff: noqa: S608 - table names are those of the partitions themselves

import hashlib
from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from compliance import audit
from compliance.audit import EventType
from compliance.models import Account, OrderEvent
from compliance.selectors import account_events
from compliance.verification import verify_chain
from oms.lib.actors import SYSTEM
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


def insert(
    *, on="compliance_orderevent", trade_date=None, account=None, c14n=b"{}", prev=bytes(32), digest=None, seq=1, xid=0
):
    """An event of an order of its own; of an account where one is named."""
    digest = hashlib.sha256(b"\x00" + prev + c14n).digest() if digest is None else digest
    order_id, account_id = (uuid4(), 1) if account is None else (None, account.pk)
    return execute(
        f"""INSERT INTO {on} (trade_date, order_id, account_id, seq, event_type, actor_type, actor_id, session_id,
                api_key_id, source_ip, channel, recorded_at, broker_time, c14n, prev_hash, hash, xid)
            VALUES (%s, %s, %s, %s, 'X', 'X', '', '', '', '', '', now(), '', %s, %s, %s, %s)
            RETURNING id, xid""",
        trade_date or ist_date(now()), order_id, account_id, seq, c14n, prev, digest, xid,
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
    each = ("check_insert", "move_head", "refuse_change", "refuse_truncate")
    own = [(name, guard, "A") for name in partitions() for guard in each]
    assert sorted(guards) == sorted([("compliance_orderevent", "refuse_truncate", "A"), *own])


def test_a_real_order_cannot_be_rewritten(account, sbin):
    order = place()
    for attempt in (
        lambda: OrderEvent.objects.filter(order_id=order.pk).update(actor_id="somebody else"),
        lambda: OrderEvent.objects.filter(order_id=order.pk).delete(),
    ):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            attempt()


class TestTheChainOfAnAccount:
    """It cannot fork and its head cannot be moved: the event moves the head, and nothing else does."""

    TOMORROW = timedelta(days=1)

    @pytest.fixture
    def chained(self, account):
        """An account with two events more than the opening ones, as the database has it."""
        for _ in range(2):
            self.record(Account.objects.get(pk=account.pk))
        return Account.objects.get(pk=account.pk)

    def record(self, account, at=None):
        with transaction.atomic():
            audit.record_on(account, EventType.CORRECTION, {}, actor=SYSTEM, at=at or now())

    def unchanged(self, account):
        found = Account.objects.get(pk=account.pk)
        assert (found.event_seq, bytes(found.event_hash)) == (account.event_seq, bytes(account.event_hash))
        report = verify_chain(account_events(account.pk), head=found.event_hash)
        assert (report.ok, report.count) == (True, account.event_seq), report.message

    def test_an_event_moves_the_head_though_nobody_saves_it(self, chained):
        before = chained.event_seq
        self.record(chained)
        assert chained.event_seq == before + 1
        self.unchanged(chained)

    def test_several_events_of_one_statement_follow_each_other(self, chained):
        drafts = [audit.EventDraft(chained, EventType.CORRECTION, {"n": n}) for n in range(5)]
        with transaction.atomic():
            audit.record(drafts, actor=SYSTEM, at=now())
        self.unchanged(chained)

    def test_a_fork_on_another_day_is_refused(self, chained, role):
        """The unique index holds the day: it lets a second event of the same number pass."""
        last = account_events(chained.pk).last()
        with pytest.raises(IntegrityError, match="does not follow the head"), transaction.atomic():
            insert(
                account=chained, seq=last.seq, prev=bytes(last.prev_hash), trade_date=last.trade_date + self.TOMORROW
            )
        self.unchanged(chained)

    def test_a_writer_with_an_old_head_is_refused_on_any_day(self, chained):
        stale = Account.objects.get(pk=chained.pk)
        self.record(chained)
        for at in (now(), now() + self.TOMORROW):
            with pytest.raises(IntegrityError):
                self.record(Account(pk=stale.pk, event_seq=stale.event_seq, event_hash=stale.event_hash), at)
        self.unchanged(chained)

    @pytest.mark.parametrize("skipped", [0, 1])
    def test_an_event_that_hangs_on_another_hash_or_number_is_refused(self, chained, role, skipped):
        prev = bytes(chained.event_hash) if skipped else bytes(32)
        with pytest.raises(IntegrityError, match="does not follow the head"), transaction.atomic():
            insert(account=chained, seq=chained.event_seq + 1 + skipped, prev=prev)
        self.unchanged(chained)

    def test_an_event_of_no_account_is_refused(self, role):
        with pytest.raises(IntegrityError, match="does not follow the head"), transaction.atomic():
            insert(account=Account(pk=0))

    def test_a_head_is_not_saved_back_to_an_older_value(self, chained, role):
        older = account_events(chained.pk).get(seq=chained.event_seq - 1)
        with pytest.raises(IntegrityError, match="moves with its events alone"), transaction.atomic():
            Account(
                pk=chained.pk, event_seq=older.seq, event_hash=older.hash
            ).save(update_fields=["event_seq", "event_hash"])  # fmt: skip
        self.unchanged(chained)

    @pytest.mark.parametrize(
        "change",
        [
            "event_seq = event_seq + 1",
            "event_hash = sha256('x')",
            "event_seq = event_seq + 1, event_hash = sha256('x')",
            "event_seq = 0, event_hash = decode(repeat('00', 32), 'hex')",
            "id = 1000000",
        ],
    )
    def test_a_head_does_not_move_without_an_event(self, chained, role, change):
        with pytest.raises(IntegrityError, match="moves with its events alone"), transaction.atomic():
            execute(f"UPDATE compliance_account SET {change} WHERE id = %s", chained.pk)
        self.unchanged(chained)

    def test_an_account_with_a_chain_cannot_go_and_begin_again(self, chained, role):
        with pytest.raises(IntegrityError, match="moves with its events alone"), transaction.atomic():
            execute("DELETE FROM compliance_account WHERE id = %s", chained.pk)
        self.unchanged(chained)

    def test_a_chain_begins_at_the_beginning(self, role):
        with pytest.raises(IntegrityError, match="moves with its events alone"), transaction.atomic():
            Account.objects.create(code="LATE", name="Late", event_seq=7)

    def test_what_else_is_known_of_an_account_may_change(self, chained, role):
        execute("UPDATE compliance_account SET name = 'Other', event_seq = event_seq WHERE id = %s", chained.pk)
        self.unchanged(chained)

    def test_the_guards_of_the_head_are_always_on(self):
        found = execute(
            "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = 'compliance_account'::regclass"
            " AND tgname LIKE 'head%%' ORDER BY 1"
        )
        assert found == [("head_begins", "A"), ("head_follows", "A"), ("head_stays", "A")]

    def test_no_table_is_read_through_for_it(self, chained):
        """plpgsql keeps its plans: one made on nearly empty tables would read every row of a full one."""
        execute("SET CONSTRAINTS ALL IMMEDIATE")
        execute("ANALYZE compliance_account, compliance_orderevent")
        scans = (
            "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables"
            " WHERE relname = 'compliance_account' OR relname LIKE 'compliance_orderevent%%'"
        )
        before = execute(scans)
        self.record(chained)
        assert execute(scans) == before
