"""The proof of the buckets in transactions that really commit: every way to cheat that we could think of."""

from contextlib import contextmanager
from decimal import Decimal as D
from itertools import product
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from compliance.models import Account
from ledger.models import CapitalAccount, CapitalEntry
from ledger.selectors import trial_balance
from ledger.services.capital import deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now

NOT_PROVED = "not the sum of its entries"
NO_CHAIN = "does not continue"


def opened(code):
    """A portfolio with ₹100, which is its first entry."""
    owner = Account.objects.create(code=code, name=code)
    portfolio = CapitalAccount.objects.create(code=f"{code}-1", name=code, account=owner)
    deposit(portfolio, D(100), key=code, reason="x", user=None, actor=SYSTEM, at=now())
    return portfolio


@pytest.fixture
def db(committed_db):
    """Here transactions really commit."""


@pytest.fixture
def portfolio(db):
    return opened("A")


@pytest.fixture
def other(portfolio):
    return opened("B")


@pytest.fixture(autouse=True)
def _what_was_refused_left_nothing(portfolio):
    yield
    assert trial_balance() == []


@contextmanager
def refused(words, case=None):
    """What is written inside does not get past its commit."""
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        yield
    assert words in str(error.value), case


def rupee(portfolio, seq, **changes):
    """The deposit of one rupee that is the portfolio's entry number `seq`, when all before it were such deposits."""
    fields = {
        "capital_account": portfolio, "account_id": portfolio.account_id, "seq": seq, "kind": "DEPOSIT",
        "debit": "OUTSIDE", "credit": "FREE", "amount": D(1), "free_after": D(99 + seq), "reserved_after": D(0),
        "allocated_after": D(0), "key": str(uuid4()), "actor": "test", "created_at": now(),
    }  # fmt: skip
    return CapitalEntry(**(fields | changes))


def insert(*entries):
    """In one statement."""
    CapitalEntry.objects.bulk_create(entries)


def stand(portfolio, seq, **changes):
    """Write the account as it is after that entry, but for what is given."""
    CapitalAccount.objects.filter(pk=portfolio.pk).update(**({"free": D(99 + seq), "entry_seq": seq} | changes))


def free(portfolio):
    return CapitalAccount.objects.get(pk=portfolio.pk).free


def test_within_a_transaction_entries_and_account_may_be_written_in_any_order(portfolio):
    with transaction.atomic():
        stand(portfolio, 2)
        insert(rupee(portfolio, 2))
    with transaction.atomic():
        insert(rupee(portfolio, 3))
        stand(portfolio, 3)
    with transaction.atomic():
        insert(rupee(portfolio, 4))
        stand(portfolio, 5)
        insert(rupee(portfolio, 5))
    assert free(portfolio) == 104


@pytest.mark.parametrize("account_first", [True, False])
def test_a_list_may_come_in_any_order_and_of_many_accounts(portfolio, other, account_first):
    entries = [rupee(owner, seq) for seq in (4, 2, 3) for owner in (other, portfolio)]
    with transaction.atomic():
        if not account_first:
            insert(*entries)
        stand(portfolio, 4)
        stand(other, 4)
        if account_first:
            insert(*entries)
    assert free(portfolio) == free(other) == 103


def test_buckets_that_no_entry_explains(portfolio):
    with refused(NOT_PROVED):
        stand(portfolio, 1, free=D(1_000_000))
    assert free(portfolio) == 100


def test_entries_that_their_account_does_not_know(portfolio):
    for count in (1, 3):
        with refused(NOT_PROVED, count):
            insert(*[rupee(portfolio, 2 + n) for n in range(count)])
    assert CapitalEntry.objects.count() == 1


def test_an_account_that_stands_elsewhere_than_its_last_entry(portfolio):
    cases = [{"entry_seq": 2}, {"entry_seq": 4}, {"free": D(101)}, {"reserved": D(1)}, {"allocated": D(1)}]
    for wrong, account_first in product(cases, (True, False)):
        with refused(NOT_PROVED, (wrong, account_first)):
            if account_first:
                stand(portfolio, 3, **wrong)
            insert(rupee(portfolio, 2), rupee(portfolio, 3))
            if not account_first:
                stand(portfolio, 3, **wrong)


def test_wrong_amounts_anywhere_in_a_list(portfolio):
    cases = [
        {"free_after": D(500)}, {"reserved_after": D(1)}, {"allocated_after": D(1)}, {"amount": D(2)},
        {"credit": "RESERVED"}, {"debit": "ALLOCATED"},
    ]  # fmt: skip
    for wrong, place in product(cases, (2, 3, 4)):
        with refused(NO_CHAIN, (wrong, place)):
            stand(portfolio, 4)
            insert(*[rupee(portfolio, seq, **(wrong if seq == place else {})) for seq in (2, 3, 4)])


def test_two_accounts_of_which_one_is_wrong(portfolio, other):
    for cheat in (
        lambda: (insert(rupee(portfolio, 2), rupee(other, 2)), stand(portfolio, 2)),
        lambda: (stand(portfolio, 2), stand(other, 2, free=D(500)), insert(rupee(portfolio, 2), rupee(other, 2))),
        lambda: (stand(portfolio, 2), stand(other, 2), insert(rupee(portfolio, 2))),
    ):
        with refused(NOT_PROVED):
            cheat()
    with refused(NO_CHAIN):
        stand(portfolio, 2)
        stand(other, 2)
        insert(rupee(portfolio, 2), rupee(other, 2, free_after=D(500)))
    assert free(portfolio) == free(other) == 100


def test_the_entry_of_one_account_does_not_continue_another(portfolio, other):
    insert_two = [rupee(portfolio, 2), rupee(portfolio, 3)]
    with transaction.atomic():
        stand(portfolio, 3)
        insert(*insert_two)
    with refused(NO_CHAIN):
        stand(other, 4)
        insert(rupee(other, 4))


def test_a_gap_in_the_numbers_and_a_number_twice(portfolio):
    for numbers in ((3,), (2, 4), (2, 3, 5), (0,)):
        with refused(NO_CHAIN, numbers):
            stand(portfolio, max(numbers))
            insert(*[rupee(portfolio, seq) for seq in numbers])
    for numbers in ((1,), (2, 2)):
        with refused("seq_once", numbers):
            stand(portfolio, max(numbers))
            insert(*[rupee(portfolio, seq) for seq in numbers])


def test_an_account_that_is_moved_forward_for_its_entries_and_then_back(portfolio):
    with refused(NOT_PROVED):
        stand(portfolio, 2)
        insert(rupee(portfolio, 2))
        stand(portfolio, 1)


def test_an_account_whose_change_is_rolled_back_to_a_savepoint(portfolio):
    with refused(NOT_PROVED):
        insert(rupee(portfolio, 2))
        mark = transaction.savepoint()
        stand(portfolio, 2)
        transaction.savepoint_rollback(mark)
    with transaction.atomic():
        mark = transaction.savepoint()
        stand(portfolio, 2)
        insert(rupee(portfolio, 2))
        transaction.savepoint_rollback(mark)
    assert free(portfolio) == 100


def test_an_account_that_begins_rich(portfolio):
    fields = {"code": "RICH", "name": "Rich", "account": portfolio.account}
    for wrong in ({"free": D(100)}, {"entry_seq": 1}):
        with pytest.raises(IntegrityError, match=NOT_PROVED):
            CapitalAccount.objects.create(**fields, **wrong)
    with transaction.atomic():
        new = CapitalAccount.objects.create(**fields, free=D(100), entry_seq=1)
        insert(rupee(new, 1, amount=D(100)))
    assert free(new) == 100
