"""What the database itself refuses of the ledger, even from code that goes round the services."""

from datetime import timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from ledger.models import AssetTransaction, CapitalAccount, CapitalEntry
from oms.lib.clock import now
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


def execute(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)


def at_commit():
    """What a commit would check, now."""
    execute("SET CONSTRAINTS ALL IMMEDIATE")


OTHER_VALUES = {
    "id": uuid4(), "capital_account_id": 10**9, "account_id": 10**9, "seq": 99, "kind": "ADJUST", "debit": "ALLOCATED",
    "credit": "ALLOCATED", "amount": D(1), "free_after": D(1), "reserved_after": D(1), "allocated_after": D(1),
    "order_id": uuid4(), "execution_id": uuid4(), "reserve_id": uuid4(), "key": "other", "actor": "other",
    "reason": "other", "created_at": now() + timedelta(days=1),
}  # fmt: skip


def test_every_column_but_status_is_fixed(portfolio):
    assert {*OTHER_VALUES, "status"} == {field.attname for field in CapitalEntry._meta.concrete_fields}
    for column, value in OTHER_VALUES.items():
        with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
            execute(f'UPDATE ledger_capitalentry SET "{column}" = %s', value)  # noqa: S608 - our own columns


@pytest.mark.parametrize("table", ["ledger_capitalentry", "ledger_assettransaction"])
def test_nothing_is_deleted(portfolio, sbin, table):
    order = send(place())
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
    for statement, words in (
        (f"DELETE FROM {table}", "Cannot delete"),  # noqa: S608  our own tables
        (f"TRUNCATE {table} CASCADE", "Cannot truncate"),
    ):
        at_commit()
        with pytest.raises(DatabaseError, match=words), transaction.atomic():
            execute(statement)


def test_a_booked_trade_is_fixed(portfolio, sbin):
    order = send(place())
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        AssetTransaction.objects.update(price=D(1))


DECLARED = {
    ("PENDING", "COMMITTED"), ("PENDING", "FAILED"), ("PENDING", "RECONCILING"),
    ("RECONCILING", "COMMITTED"), ("RECONCILING", "FAILED"), ("RECONCILING", "PENDING"),
}  # fmt: skip
STATUSES = CapitalEntry.Status.values


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_only_declared_changes_of_status(portfolio, before, after):
    with transaction.atomic():
        change = CapitalEntry.objects.filter(pk=entry_after(portfolio, status=before).pk)
        if before == after or (before, after) in DECLARED:
            assert change.update(status=after) == 1
        else:
            with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
                change.update(status=after)
        transaction.set_rollback(True)


def entry_after(portfolio, **changes):
    """The next entry of the portfolio, a deposit of one rupee that continues the last but for what is given."""
    portfolio = CapitalAccount.objects.get(pk=portfolio.pk)
    fields = {
        "capital_account": portfolio, "account_id": portfolio.account_id, "seq": portfolio.entry_seq + 1,
        "kind": "DEPOSIT", "debit": "OUTSIDE", "credit": "FREE", "amount": D(1), "free_after": portfolio.free + 1,
        "reserved_after": portfolio.reserved, "allocated_after": portfolio.allocated, "key": str(uuid4()),
        "actor": "test", "created_at": now(),
    }  # fmt: skip
    return CapitalEntry.objects.create(**(fields | changes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"free_after": D(5)},
        {"reserved_after": D(5)},
        {"allocated_after": D(5)},
        {"amount": D(2)},
        {"credit": "RESERVED"},
        {"debit": "RESERVED"},
        {"seq": 7},
        {"seq": 0},
    ],
)
def test_an_entry_that_does_not_continue_the_chain(portfolio, wrong):
    with pytest.raises(IntegrityError, match="does not continue"), transaction.atomic():
        entry_after(portfolio, **wrong)


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"amount": D(0)}, "amount_positive"),
        ({"amount": D(-1)}, "amount_positive"),
        ({"credit": "OUTSIDE", "debit": "OUTSIDE"}, "moves"),
        ({"key": "DEPOSIT:DEMO"}, "key"),
        ({"seq": 1}, "seq_once"),
    ],
)
def test_an_entry_that_moves_nothing_or_twice(portfolio, wrong, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        entry_after(portfolio, **wrong)


def test_an_entry_without_its_account_fails_the_commit(portfolio):
    at_commit()
    with pytest.raises(IntegrityError, match="not the sum of its entries"), transaction.atomic():
        entry_after(portfolio)


@pytest.mark.parametrize("bucket", ["free", "reserved", "allocated", "entry_seq"])
def test_buckets_without_entries_fail_the_commit(portfolio, bucket):
    at_commit()
    with pytest.raises(IntegrityError, match="not the sum of its entries"), transaction.atomic():
        execute(f"UPDATE ledger_capitalaccount SET {bucket} = {bucket} + 1 WHERE id = %s", portfolio.pk)  # noqa: S608


def test_a_new_account_begins_empty(account):
    at_commit()
    with pytest.raises(IntegrityError, match="not the sum of its entries"), transaction.atomic():
        CapitalAccount.objects.create(code="RICH", name="Rich", account=account, free=D(100))


@pytest.mark.parametrize("bucket", ["reserved", "allocated"])
def test_what_is_reserved_or_allocated_is_never_negative(portfolio, bucket):
    with pytest.raises(IntegrityError, match=f"capital_{bucket}_not_negative"), transaction.atomic():
        CapitalAccount.objects.filter(pk=portfolio.pk).update(**{bucket: D(-1)})
