"""Deposits: once per key, within the limit, by those who may, with an event."""

from decimal import Decimal as D

import pytest

from compliance.idempotency import AlreadyAnswered, Idempotent, SentKey, StoredAnswer
from compliance.models import Account
from compliance.selectors import account_events
from compliance.verification import verify_chain
from ledger.models import CapitalEntry
from ledger.selectors import trial_balance
from ledger.services.capital import KeyReused, deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Forbidden, Invalid

pytestmark = pytest.mark.django_db


def put(portfolio, amount="100.50", key="k", user=None, **more):
    return deposit(portfolio, D(amount), key=key, reason="wire", user=user, actor=SYSTEM, at=now(), **more)


def free(portfolio):
    portfolio.refresh_from_db()
    return portfolio.free


def test_money_comes_from_outside_into_free(portfolio):
    before = free(portfolio)
    entry = put(portfolio)
    assert (entry.kind, entry.debit, entry.credit, entry.amount) == ("DEPOSIT", "OUTSIDE", "FREE", D("100.50"))
    assert free(portfolio) == before + D("100.50") == entry.free_after
    assert trial_balance() == []


def test_the_same_key_posts_once(portfolio):
    before = free(portfolio)
    assert put(portfolio).pk == put(portfolio).pk
    assert free(portfolio) == before + D("100.50")


def test_the_key_belongs_to_its_posting(portfolio, other_account):
    put(portfolio)
    before = free(portfolio)
    with pytest.raises(KeyReused):
        put(portfolio, "100.51")
    with pytest.raises(KeyReused):
        put(other_account.portfolios.get())
    assert free(portfolio) == before


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "100.505"])
def test_an_amount_is_a_positive_number_of_paise(portfolio, amount):
    with pytest.raises(Invalid) as caught:
        put(portfolio, amount)
    assert caught.value.errors[0].pointer == "/amount"
    assert CapitalEntry.objects.count() == 1


def test_one_person_alone_deposits_up_to_a_limit(portfolio, settings):
    settings.DEPOSIT_LIMIT = D(1000)
    put(portfolio, "1000")
    with pytest.raises(Forbidden) as caught:
        put(portfolio, "1000.01", key="k2")
    assert caught.value.code == "deposit_limit"


def test_who_may(portfolio, trader, viewer, outsider, officer, operator):
    for user in (trader, viewer, outsider, officer):
        with pytest.raises(Forbidden):
            put(portfolio, user=user)
    operator.is_active = False
    with pytest.raises(Forbidden):
        put(portfolio, user=operator)
    assert portfolio.entries.count() == 1
    operator.is_active = True
    put(portfolio, user=operator)


def test_it_is_an_event_of_the_account(portfolio, account):
    entry = put(portfolio)
    account = Account.objects.get(pk=account.pk)
    event = account_events(account.pk).last()
    assert (event.event_type, event.data["amount"], event.data["portfolio"]) == ("CAPITAL_DEPOSITED", "100.5", "DEMO-1")
    assert (event.data["entry_id"], event.data["reason"]) == (str(entry.pk), "wire")
    assert verify_chain(account_events(account.pk), head=account.event_hash).ok


def test_a_repeated_request_gets_the_first_answer(portfolio):
    sent_key = SentKey("user:1", "request", bytes(32))
    idempotent = Idempotent(sent_key, lambda entry: StoredAnswer(201, str(entry.pk).encode()))
    entry = put(portfolio, idempotent=idempotent)
    with pytest.raises(AlreadyAnswered) as caught:
        put(portfolio, key="another", idempotent=idempotent)
    assert caught.value.stored == StoredAnswer(201, str(entry.pk).encode())
    assert CapitalEntry.objects.filter(kind="DEPOSIT").count() == 2
