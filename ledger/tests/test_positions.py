"""The fold of trades into a position against exact fractions that know nothing of it."""

from dataclasses import dataclass
from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.positions import Holding, Trade, apply_trade

PAISA = Fraction(1, 100)
trades = st.lists(
    st.builds(
        Trade,
        side=st.sampled_from(["BUY", "SELL"]),
        quantity=st.integers(1, 1000).map(D),
        price=st.integers(1, 400_000).map(lambda n: D(n) * D("0.05")),
        unit_margin=st.integers(0, 100_000).map(lambda n: D(n) / 100),
    ),
    max_size=25,
)


@dataclass
class Oracle:
    """A position as its units, what they cost and what was made of those that are gone; never rounded."""

    units: int = 0
    cost: Fraction = Fraction(0)
    profit: Fraction = Fraction(0)

    def trade(self, side: str, quantity: int, price: Fraction) -> None:
        """One unit at a time, so that there is no formula to get wrong."""
        step = 1 if side == "BUY" else -1
        for _ in range(quantity):
            if self.units * step >= 0:
                self.cost += price
            else:
                average = self.cost / abs(self.units)
                self.cost -= average
                self.profit += (price - average) * -step
            self.units += step


@given(trades)
def test_any_sequence_agrees_with_exact_fractions(sequence):
    holding, oracle = Holding(), Oracle()
    for count, trade in enumerate(sequence, start=1):
        holding = apply_trade(holding, trade).holding
        oracle.trade(trade.side, int(trade.quantity), Fraction(trade.price))
        assert holding.quantity == oracle.units
        # Half a paisa a trade, and what an average of eight decimals can be off by on so many units.
        slack = count * (PAISA / 2 + Fraction(1, 10**8) * 1000 * count)
        assert abs(Fraction(holding.realised) - oracle.profit) <= slack
        if oracle.units:
            average = oracle.cost / abs(oracle.units)
            assert abs(Fraction(holding.average_price) - average) <= Fraction(count, 10**8)
        else:
            assert holding.average_price == 0
            assert oracle.cost == 0


@given(trades)
def test_capital_is_tied_up_while_units_are_held_and_all_free_at_zero(sequence):
    holding = Holding()
    for trade in sequence:
        effect = apply_trade(holding, trade)
        assert effect.released >= 0
        assert effect.allocated >= 0
        assert effect.holding.allocated == holding.allocated - effect.released + effect.allocated >= 0
        assert effect.realised == effect.holding.realised - holding.realised
        holding = effect.holding
        if holding.quantity == 0:
            assert holding.allocated == 0


@given(trades, st.data())
def test_how_an_opening_is_split_into_fills_does_not_matter_to_the_average(sequence, data):
    """Same price, same side: one fill or many leave the same position."""
    quantity = data.draw(st.integers(2, 500))
    cut = data.draw(st.integers(1, quantity - 1))
    price = D(data.draw(st.integers(1, 5000)))
    whole = apply_trade(Holding(), Trade("BUY", D(quantity), price, price)).holding
    part = apply_trade(Holding(), Trade("BUY", D(cut), price, price)).holding
    parts = apply_trade(part, Trade("BUY", D(quantity - cut), price, price)).holding
    assert parts == whole


@pytest.mark.parametrize(
    ("before", "trade", "after"),  # a holding is its quantity, average price, allocated capital, realised profit
    [
        ((0, 0, 0, 0), ("BUY", 10, 100), (10, 100, 1000, 0)),
        ((10, 100, 1000, 0), ("BUY", 5, 130), (15, 110, 1650, 0)),
        ((15, 110, 1650, 0), ("SELL", 5, 120), (10, 110, 1100, 50)),
        ((10, 110, 1100, 50), ("SELL", 10, 100), (0, 0, 0, -50)),
        ((10, 100, 1000, 0), ("SELL", 15, 110), (-5, 110, 550, 100)),  # through zero: closes, then opens
        ((-5, 110, 550, 100), ("SELL", 5, 120), (-10, 115, 1150, 100)),
        ((-10, 115, 1150, 100), ("BUY", 4, 100), (-6, 115, 690, 160)),
        ((-6, 115, 690, 160), ("BUY", 8, 120), (2, 120, 240, 130)),
    ],
)
def test_examples(before, trade, after):
    side, quantity, price = trade
    effect = apply_trade(Holding(*map(D, before)), Trade(side, D(quantity), D(price), D(price)))
    assert effect.holding == Holding(*map(D, after))


def test_the_last_unit_takes_the_paise_that_rounding_left():
    holding = Holding(D(3), D(1), D("1.00"), D(0))
    released = []
    for _ in range(3):
        effect = apply_trade(holding, Trade("SELL", D(1), D(1), D(0)))
        holding = effect.holding
        released.append(effect.released)
    assert (sum(released), holding.allocated) == (D("1.00"), D(0))
