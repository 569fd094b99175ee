"""The live page's sums of capital: all of what one sees, nothing of what one does not."""

from decimal import Decimal as D

import pytest
from django.contrib.auth.models import AnonymousUser

from ledger.admin.capital import bucket_shares
from ledger.models import CapitalAccount
from ledger.monitoring import busiest_portfolios, capital_in_all
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def at_work(portfolio, other_account, sbin):
    """DEMO-1 has a position and a working order, OTHER-1 all of its capital free."""
    order = send(place())
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
    place()
    return portfolio


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("trader", {"DEMO-1"}), ("viewer", {"DEMO-1"}), ("outsider", {"OTHER-1"}), ("operator", {"DEMO-1", "OTHER-1"}),
        ("officer", {"DEMO-1", "OTHER-1"}),
    ],
)  # fmt: skip
def test_the_sums_are_of_the_portfolios_one_sees(at_work, request, name, codes):
    user = request.getfixturevalue(name)
    rows = CapitalAccount.objects.filter(code__in=codes)
    found = capital_in_all(user)
    for bucket in ("free", "reserved", "allocated"):
        assert getattr(found, bucket) == sum(getattr(row, bucket) for row in rows)
    assert {row.code for row in busiest_portfolios(user, limit=9)} == codes


def test_what_is_at_work_comes_first(at_work, operator):
    assert [row.code for row in busiest_portfolios(operator, limit=9)] == ["DEMO-1", "OTHER-1"]
    assert [row.code for row in busiest_portfolios(operator, limit=1)] == ["DEMO-1"]


def test_nothing_is_nought(db):
    found = capital_in_all(AnonymousUser())
    assert (found.free, found.reserved, found.allocated) == (0, 0, 0)
    assert busiest_portfolios(AnonymousUser(), limit=9) == []


@pytest.mark.parametrize(
    ("amounts", "percents"),
    [
        ((50, 25, 25), [50, 25, 25]),
        ((1, 1, 1), [33.33, 33.33, 33.33]),
        ((0, 0, 0), [0, 0, 0]),
        ((-100, 50, 150), [0, 25, 75]),  # overdrawn: a bar has no negative width
        ((-1, 0, 0), [0, 0, 0]),
    ],
)
def test_the_bar_shows_shares_of_the_whole(amounts, percents):
    shares = bucket_shares(*map(D, amounts))
    assert [share["percent"] for share in shares] == percents
    assert [share["amount"] for share in shares] == list(amounts)
    assert sum(share["percent"] for share in shares) <= 100
