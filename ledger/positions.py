"""The arithmetic of a position: one trade folded into a holding. Pure; no database.

The average price is weighted on opening and unchanged on a partial close; a trade through zero
closes at the old average and opens the rest at its own price. Capital tied up is released in
proportion to what closes, the last unit taking whatever paise remain.
"""

from dataclasses import dataclass
from decimal import Decimal

from oms.lib.money import ZERO, average, to_paisa


@dataclass(frozen=True, slots=True)
class Holding:
    """Signed units, their average price in rupees, the capital tied up in them, and profit so far."""

    quantity: Decimal = ZERO
    average_price: Decimal = ZERO
    allocated: Decimal = ZERO
    realised: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Trade:
    """`unit_margin` is the capital in rupees that one newly opened unit ties up."""

    side: str
    quantity: Decimal
    price: Decimal
    unit_margin: Decimal

    @property
    def signed(self) -> Decimal:
        return self.quantity if self.side == "BUY" else -self.quantity


@dataclass(frozen=True, slots=True)
class Effect:
    """What a trade did: the new holding, capital released and newly allocated, profit (or loss) realised."""

    holding: Holding
    released: Decimal
    allocated: Decimal
    realised: Decimal


def apply_trade(holding: Holding, trade: Trade) -> Effect:
    """Fold `trade` into `holding`. Rupee amounts are rounded half up to paise."""
    closes = min(abs(holding.quantity), trade.quantity) if holding.quantity * trade.signed < 0 else ZERO
    opens = trade.quantity - closes
    direction = 1 if holding.quantity > 0 else -1
    realised = to_paisa((trade.price - holding.average_price) * closes * direction)
    released = ZERO
    if closes:
        whole = closes == abs(holding.quantity)
        released = holding.allocated if whole else to_paisa(holding.allocated * closes / abs(holding.quantity))
    allocated = to_paisa(opens * trade.unit_margin)
    quantity = holding.quantity + trade.signed
    return Effect(
        holding=Holding(
            quantity=quantity,
            average_price=_average(holding, trade, quantity, opens),
            allocated=holding.allocated - released + allocated,
            realised=holding.realised + realised,
        ),
        released=released,
        allocated=allocated,
        realised=realised,
    )


def _average(holding: Holding, trade: Trade, quantity: Decimal, opens: Decimal) -> Decimal:
    if quantity == 0:
        return ZERO
    if opens == 0:
        return holding.average_price
    if opens == trade.quantity and holding.quantity:
        cost = abs(holding.quantity) * holding.average_price + opens * trade.price
        return average(cost, abs(quantity))
    return trade.price
