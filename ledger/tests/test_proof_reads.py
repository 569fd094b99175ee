"""What the proof of the buckets reads does not depend on what the planner believes of the tables."""

from decimal import Decimal as D

import pytest
from django.db import connection, transaction

from ledger.models import CapitalAccount, CapitalEntry
from ledger.tests.test_proof_at_commit import insert, opened, rupee, stand
from oms.tests.reads import analyse, never_analysed, rows_read

ENTRIES = 3_000
PLANNED = 12  # plpgsql and foreign keys settle on one plan at the sixth call
HANDFUL = 24  # of tables and indexes together
TABLES = (CapitalAccount, CapitalEntry)


@pytest.fixture
def db(committed_db):
    """Here transactions really commit."""


@pytest.fixture
def portfolio(db):
    never_analysed(TABLES)
    return opened("A")


@transaction.atomic
def grow(portfolio, *numbers, account_first=True):
    if account_first:
        stand(portfolio, numbers[-1])
    insert(*[rupee(portfolio, seq) for seq in numbers])
    if not account_first:
        stand(portfolio, numbers[-1])


@pytest.mark.parametrize("analysed", ["never", "when empty", "when nearly empty"])
@pytest.mark.parametrize("account_first", [True, False])
def test_one_more_entry_reads_a_handful_of_rows(portfolio, analysed, account_first):
    if analysed == "when empty":
        analyse()
    for seq in range(2, 2 + PLANNED):
        if analysed == "when nearly empty" and seq == 7:
            analyse()
        grow(portfolio, seq, account_first=account_first)
    last = 1 + PLANNED
    grow(portfolio, *range(last + 1, last + 1 + ENTRIES), account_first=account_first)
    last += ENTRIES
    assert rows_read(TABLES, lambda: grow(portfolio, last + 1, account_first=account_first)) <= HANDFUL
    assert CapitalEntry.objects.count() == last + 1
    assert D(last) + 100 == CapitalAccount.objects.get().free


def test_a_list_is_proved_once_and_not_once_for_each_of_its_entries(portfolio):
    for seq in range(2, 2 + PLANNED):
        grow(portfolio, seq)
    first = 2 + PLANNED
    with connection.cursor() as cursor:  # that an entry's account exists is a foreign key, and not the proof
        cursor.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = 'ledger_capitalentry'::regclass AND contype = 'f'"
        )
        (foreign_key,) = cursor.fetchone()
        cursor.execute(f"ALTER TABLE ledger_capitalentry DROP CONSTRAINT {foreign_key}")
    assert rows_read(TABLES, lambda: grow(portfolio, *range(first, first + 200))) <= HANDFUL
