"""Opening portfolios: who may, what is refused, and that one begins with nothing."""

import pytest

from compliance.models import Account
from compliance.selectors import account_events
from compliance.verification import verify_chain
from ledger.models import CapitalAccount
from ledger.services.portfolios import open_portfolio
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Conflict, Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db


def opened(account, user=None, **given):
    fields = {"code": "P-2", "name": "Second", "reason": "a second strategy", "actor": SYSTEM, "at": now()}
    return open_portfolio(account.pk, user=user, **fields | given)


def test_it_begins_empty_and_the_chain_says_who_opened_it(account, operator):
    portfolio = opened(account, operator)
    assert (portfolio.free, portfolio.reserved, portfolio.allocated) == (0, 0, 0)
    account.refresh_from_db()
    events = list(account_events(account.pk))
    assert verify_chain(events, head=account.event_hash).ok
    assert events[-1].event_type == "PORTFOLIO_OPENED"
    assert events[-1].data == {"portfolio": "P-2", "name": "Second", "reason": "a second strategy"}


def test_only_operators(account, trader, officer):
    for user in (trader, officer):
        with pytest.raises(Forbidden):
            opened(account, user)
    assert account.portfolios.count() == 1


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"code": " "}, ["/code"]),
        ({"code": "a/b"}, ["/code"]),
        ({"code": "x" * 37}, ["/code"]),
        ({"name": "", "reason": ""}, ["/reason", "/name"]),
    ],
)
def test_what_is_wrong_is_named(account, given, wrong):
    with pytest.raises(Invalid) as refusal:
        opened(account, **given)
    assert [error.pointer for error in refusal.value.errors] == wrong
    assert account.portfolios.count() == 1


def test_a_code_is_one_of_its_kind_in_the_house(account, other_account):
    with pytest.raises(Conflict) as refusal:
        opened(account, code="OTHER-1")
    assert [error.pointer for error in refusal.value.errors] == ["/code"]
    assert CapitalAccount.objects.filter(code="OTHER-1").get().account == other_account


def test_the_house_has_none():
    with pytest.raises(NotFound):
        opened(Account.objects.get(kind="HOUSE"))
