"""The proof of the buckets in transactions that really commit."""

from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from compliance.models import Account
from ledger.models import CapitalAccount, CapitalEntry
from ledger.services.capital import deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now


@pytest.fixture
def portfolio(committed_db):
    owner = Account.objects.create(code="A", name="A")
    portfolio = CapitalAccount.objects.create(code="A-1", name="A", account=owner)
    deposit(portfolio, D(100), key="a", reason="x", user=None, actor=SYSTEM, at=now())
    return portfolio


def test_within_a_transaction_entries_and_account_may_be_written_in_any_order(portfolio):
    for account_first in (True, False):
        with transaction.atomic():
            rows = CapitalAccount.objects.filter(pk=portfolio.pk)
            before = rows.get()
            changes = {"free": before.free + 1, "entry_seq": before.entry_seq + 1}
            if account_first:
                rows.update(**changes)
            CapitalEntry.objects.create(
                capital_account=before, account_id=before.account_id, seq=before.entry_seq + 1, kind="DEPOSIT",
                debit="OUTSIDE", credit="FREE", amount=D(1), free_after=before.free + 1, reserved_after=0,
                allocated_after=0, key=str(uuid4()), actor="test", created_at=now(),
            )  # fmt: skip
            if not account_first:
                rows.update(**changes)
    assert CapitalAccount.objects.get(pk=portfolio.pk).free == 102


def test_at_its_end_they_must_agree(portfolio):
    with pytest.raises(IntegrityError, match="not the sum of its entries"), transaction.atomic():
        CapitalAccount.objects.filter(pk=portfolio.pk).update(free=D(1_000_000))
    assert CapitalAccount.objects.get(pk=portfolio.pk).free == 100
