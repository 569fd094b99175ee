"""Reading the ledger: whose, how old, and what a broken invariant looks like."""

from decimal import Decimal as D

import pytest
import redis
from django.db import connection, transaction

from ledger import selectors
from ledger.models import CapitalAccount
from ledger.selectors import (
    available,
    entries_of,
    entries_of_order,
    instruments_by_id,
    instruments_named,
    open_reservations,
    portfolios_visible_to,
    positions_visible_to,
    trial_balance,
)
from ledger.services.capital import deposit
from ledger.summary import summary
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.db import read
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


def test_people_see_the_portfolios_and_positions_of_their_accounts(
    portfolio, other_account, sbin, trader, viewer, outsider, operator, officer
):
    order = send(place())
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
    for user, codes, positions in (
        (trader, {"DEMO-1"}, 1), (viewer, {"DEMO-1"}, 1), (outsider, {"OTHER-1"}, 0),
        (operator, {"DEMO-1", "OTHER-1"}, 1), (officer, {"DEMO-1", "OTHER-1"}, 1),
    ):  # fmt: skip
        assert set(portfolios_visible_to(user).values_list("code", flat=True)) == codes
        assert positions_visible_to(user).count() == positions
        user.is_active = False
        assert not portfolios_visible_to(user).exists()
        assert not positions_visible_to(user).exists()


class TestAvailable:
    def test_it_is_the_free_bucket_and_remembered_for_half_a_minute(self, portfolio, django_assert_num_queries):
        assert available(portfolio) == 1_000_000
        with django_assert_num_queries(0):
            assert available(portfolio) == 1_000_000
        assert 0 < selectors.client().ttl("capital:available:DEMO-1") <= 30

    def test_a_posting_clears_it_after_its_commit(self, portfolio, sbin, django_capture_on_commit_callbacks):
        available(portfolio)
        with django_capture_on_commit_callbacks(execute=True):
            place()
        assert available(portfolio) == D("989988.13")

    def test_it_works_without_redis(self, portfolio, monkeypatch):
        def away():
            raise redis.ConnectionError("away")

        monkeypatch.setattr(selectors, "client", away)
        assert available(portfolio) == 1_000_000

    def test_it_decides_nothing(self, portfolio, sbin):
        selectors.client().set("capital:available:DEMO-1", "999999999")
        assert place(quantity=D(2000)).rejection_code == "INSUFFICIENT_CAPITAL"


def test_entries_newest_first_and_those_of_one_order_oldest_first(portfolio, sbin):
    order = send(place())
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
    place()
    seqs = list(entries_of(portfolio).values_list("seq", flat=True))
    assert seqs == sorted(seqs, reverse=True)
    assert [e.kind for e in entries_of_order(order.pk)][:2] == ["RESERVE", "ALLOCATE"]
    assert {e.order_id for e in entries_of_order(order.pk)} == {order.pk}


def test_open_reservations_are_reckoned_from_entries(portfolio, sbin):
    order, other = send(place()), place()
    see(order, BrokerStatus.OPEN, [trade(order, 1, 4)])
    held = open_reservations([order.pk, other.pk])
    assert held == {order.pk: D("6007.12"), other.pk: D("10011.87")}
    portfolio.refresh_from_db()
    assert sum(held.values()) == portfolio.reserved


def test_instruments_in_one_query(sbin, infy, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert set(read(instruments_named([("NSE", "SBIN"), ("NSE", "INFY"), ("NSE", "GHOST"), ("BSE", "SBIN")]))) == {
            ("NSE", "SBIN"), ("NSE", "INFY"),
        }  # fmt: skip
    assert read(instruments_named([])) == {}
    assert read(instruments_by_id([sbin.pk, infy.pk, 0])) == {sbin.pk: sbin, infy.pk: infy}


def test_a_summary_adds_up(portfolio, sbin):
    bought = send(place(quantity=D(10)))
    see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10, 990)])
    sold = send(place(side="SELL", quantity=D(4), price=D(1010)))
    see(sold, BrokerStatus.COMPLETE, [trade(sold, 2, 4, 1020)])
    place()
    deposit(portfolio, D(500), key="more", reason="x", user=None, actor=SYSTEM, at=now())
    portfolio.refresh_from_db()
    found = summary(portfolio)
    assert (found.deposits, found.withdrawals, found.adjustments) == (1_000_500, 0, 0)
    assert (found.realised_pnl, found.allocated, found.open_reservations) == (120, 5940, 1)
    assert found.total == found.deposits - found.withdrawals + found.realised_pnl - found.charges + found.adjustments


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        ("free", {"free = Σ entries", "money in − out = Σ buckets"}),
        ("reserved", {"reserved = Σ entries", "money in − out = Σ buckets"}),
        ("allocated", {"allocated = Σ entries", "allocated = Σ positions", "money in − out = Σ buckets"}),
    ],
)
def test_a_broken_balance_is_named_with_its_place(portfolio, other_account, column, rules):
    assert trial_balance() == []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # as somebody with the database's keys could
        CapitalAccount.objects.filter(pk=portfolio.pk).update(**{column: D(7)})
        wrong = trial_balance()
        transaction.set_rollback(True)
    assert {(w.portfolio, w.rule) for w in wrong} == {("DEMO-1", rule) for rule in rules}
    assert all(w.expected != w.found for w in wrong)
