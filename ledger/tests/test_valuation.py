"""What positions are worth, against what one would get by selling them now."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.market.prices import set_prices
from ledger.models import Position
from ledger.positions import Holding, Trade, apply_trade
from ledger.valuation import value_positions
from oms.lib.clock import now
from oms.lib.money import to_paisa

pytestmark = pytest.mark.django_db
AT = now()
prices = st.integers(1, 400_000).map(lambda ticks: ticks * D("0.05"))
any_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # fmt: skip


def position(instrument, quantity, average, pk=1):
    return Position(pk=pk, instrument=instrument, quantity=D(quantity), average_price=D(average))


@any_database
@given(st.integers(-5000, 5000), prices, prices)
def test_the_unrealised_is_what_closing_at_the_last_price_would_realise(sbin, units, average, last):
    set_prices({sbin.pk: (last, AT)})
    [value] = value_positions([position(sbin, units, average)], at=AT).values()
    assert value.market_value == to_paisa(units * last)
    if units:
        held = Holding(D(units), average, D(0), D(0))
        closed = apply_trade(held, Trade("SELL" if units > 0 else "BUY", D(abs(units)), last, D(0)))
        assert value.unrealised_pnl == closed.realised
    else:
        assert value.unrealised_pnl == 0


@pytest.mark.parametrize(
    ("quantity", "average", "last", "worth", "profit"),
    [(10, 100, 110, 1100, 100), (10, 100, 95, 950, -50), (-10, 100, 110, -1100, -100), (-10, 100, 90, -900, 100)],
)
def test_a_short_position_is_owed_and_gains_as_prices_fall(sbin, quantity, average, last, worth, profit):
    set_prices({sbin.pk: (D(last), AT)})
    value = value_positions([position(sbin, quantity, average)], at=AT)[1]
    assert (value.market_value, value.unrealised_pnl) == (worth, profit)


def test_a_price_that_is_old_values_all_the_same_and_says_so(sbin):
    long_ago = AT - timedelta(days=3)
    set_prices({sbin.pk: (D(100), long_ago)})
    value = value_positions([position(sbin, 1, 90)], at=AT)[1]
    assert (value.last_price, value.price_at) == (100, long_ago)


def test_a_position_without_a_price_is_left_out_and_not_called_worthless(sbin, infy):
    set_prices({infy.pk: (D(5), AT)})
    assert value_positions([position(sbin, 10, 100, 1), position(infy, 1, 5, 2)], at=AT).keys() == {2}
    assert value_positions([], at=AT) == {}
