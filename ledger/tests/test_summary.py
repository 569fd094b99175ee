"""A portfolio's capital in one look: its identity holds after whatever was traded, paid in and charged."""

from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.models import RiskLimit
from ledger.models import CapitalAccount
from ledger.selectors import trial_balance
from ledger.services.capital import deposit
from ledger.services.portfolios import open_portfolio
from ledger.summary import summary
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus, Side

pytestmark = pytest.mark.django_db
#: side, units, rupees per unit, how many of the units execute (in tenths), or rupees paid in.
deals = st.tuples(st.sampled_from(list(Side)), st.integers(1, 50), st.integers(920, 1080), st.integers(0, 10))
steps = st.lists(deals | st.integers(1, 100_000), max_size=5)


@pytest.fixture
def unhurried(db):
    """No limit on orders per second."""
    RiskLimit.objects.create(scope="HOUSE", version=2, reason="test", created_at=now())


def current(portfolio):
    return summary(CapitalAccount.objects.get(pk=portfolio.pk))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=steps)
def test_what_is_there_is_what_came_in_less_what_went_out(portfolio, sbin, unhurried, told):
    for number, step in enumerate(told):
        if isinstance(step, int):
            key = f"{number}:{now()}"
            deposit(portfolio, D(step) / 100, key=key, reason="more", user=None, actor=SYSTEM, at=now())
            continue
        side, units, price, tenths = step
        order = place(side=side, product="MIS", quantity=D(units), price=D(price))
        assert order.state == "CREATED", order.rejection_reason
        filled = units * tenths // 10
        order = send(order)
        status = BrokerStatus.COMPLETE if filled == units else BrokerStatus.OPEN
        see(order, status, [trade(order, order.tag, filled, price)] if filled else [])
        assert fresh(order).filled_quantity == filled
    found = current(portfolio)
    assert found.total == (
        found.deposits - found.withdrawals + found.realised_pnl - found.charges + found.adjustments
    )  # fmt: skip
    assert (found.reserved == 0) or found.open_reservations > 0
    assert trial_balance() == []


def test_a_new_portfolio_is_all_nought(account):
    empty = open_portfolio(account.pk, code="EMPTY", name="x", reason="test", user=None, actor=SYSTEM, at=now())
    found = current(empty)
    assert (found.total, found.deposits, found.charges, found.open_reservations) == (0, 0, 0, 0)


def test_a_reservation_is_open_until_its_order_is_over(portfolio, sbin):
    orders = [send(place()), place()]
    assert current(portfolio).open_reservations == 2
    see(orders[0], BrokerStatus.OPEN, [trade(orders[0], 1, 4)])
    assert current(portfolio).open_reservations == 2
    see(orders[0], BrokerStatus.CANCELLED, [trade(orders[0], 1, 4)])
    found = current(portfolio)
    assert found.open_reservations == 1
    assert found.charges == fresh(orders[0]).charges > 0
