"""What an account held before it came here is brought in once, with its cost, against the world."""

from decimal import Decimal as D

import pytest

from compliance.models import Account
from compliance.selectors import account_events
from compliance.verification import verify_chain
from ledger.models import CapitalEntry, Position
from ledger.selectors import trial_balance
from ledger.services.histories import replay
from ledger.services.holdings import HeldBefore, open_holdings
from ledger.summary import summary
from oms.lib.actors import BROKER
from oms.lib.clock import now
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus, Side

pytestmark = pytest.mark.django_db

SBIN, INFY = HeldBefore("NSE", "SBIN", D(10), D("950.5")), HeldBefore("NSE", "INFY", D(3), D(1500))


def bring(*held, account="DEMO"):
    return open_holdings(account, held, actor=BROKER, at=now())


def test_positions_with_their_cost(portfolio, sbin, infy):
    assert bring(SBIN, INFY) == 2
    position = Position.objects.get(instrument=sbin)
    assert (position.product, position.quantity, position.average_price) == ("CNC", 10, D("950.5"))
    portfolio.refresh_from_db()
    assert (portfolio.free, portfolio.allocated) == (1_000_000, 9505 + 4500)
    assert trial_balance() == []
    assert summary(portfolio).adjustments == 14005
    assert replay(position).quantity == 10
    assert (position.day_buy_quantity, position.day_buy_value) == (0, 0), "nothing was bought today"


def test_they_can_be_sold(portfolio, sbin):
    bring(SBIN)
    order = send(place(side=Side.SELL, quantity=D(10), price=D(1000)))
    order = see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10)])
    assert order.state == "FILLED"
    assert Position.objects.get().realised_pnl == D(495)
    assert trial_balance() == []


def test_once_only(portfolio, sbin, infy):
    bring(SBIN)
    entries = CapitalEntry.objects.count()
    assert bring(SBIN) == bring(INFY) == bring(SBIN, INFY) == 0
    assert CapitalEntry.objects.count() == entries


def test_not_for_an_account_that_has_traded_here(account, sbin, infy):
    order = send(place(quantity=D(1)))
    see(order, BrokerStatus.COMPLETE, [trade(order, 1, 1)])
    assert bring(INFY) == 0


def test_what_is_not_on_file_is_left_for_reconciliation(account, sbin):
    assert bring(SBIN, HeldBefore("NSE", "GHOST", D(1), D(1))) == 1
    assert bring() == 0


def test_each_is_an_event_on_the_accounts_chain(account, sbin, infy):
    bring(SBIN, INFY)
    account = Account.objects.get(pk=account.pk)
    events = list(account_events(account.pk))
    assert [e.event_type for e in events[-2:]] == ["CAPITAL_ADJUSTED"] * 2
    assert events[-2].data["symbol"] == "SBIN"
    assert verify_chain(events, head=account.event_hash).ok
