"""One client's money and securities: cash, what open orders reserve, positions and holdings.

Belongs here: every change of these figures. How they are shown is in `portfolio`, how much margin
something needs in `margins`. All amounts are whole paise, so nothing is ever created or lost.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .instruments import Instrument
from .margins import Margin, is_cash_settled, order_margin, position_margin
from .orders import Order

PositionKey = tuple[str, str]  # instrument key, product


@dataclass(slots=True)
class Position:
    """Signed `overnight_quantity`; the day's sums; `basis`: what the open units cost or brought."""

    key: str
    product: str
    overnight_quantity: int = 0
    overnight_value: int = 0
    day_buy_quantity: int = 0
    day_buy_value: int = 0
    day_sell_quantity: int = 0
    day_sell_value: int = 0
    basis: int = 0

    @property
    def quantity(self) -> int:
        """Net units, signed."""
        return self.overnight_quantity + self.day_buy_quantity - self.day_sell_quantity

    def trade(self, is_buy: bool, quantity: int, value: int) -> int:
        """Apply a trade worth `value` paise and return the profit realised on closed units."""
        net, signed = self.quantity, quantity if is_buy else -quantity
        closing = min(quantity, abs(net)) if net * signed < 0 else 0
        cost = self.basis * closing // abs(net) if closing else 0
        proceeds = value * closing // quantity
        self.basis += value - proceeds - cost
        if is_buy:
            self.day_buy_quantity += quantity
            self.day_buy_value += value
        else:
            self.day_sell_quantity += quantity
            self.day_sell_value += value
        return cost - proceeds if is_buy else proceeds - cost

    def roll(self) -> None:
        """Carry the open units over to the next day."""
        self.overnight_quantity, self.overnight_value = self.quantity, self.basis
        self.day_buy_quantity = self.day_buy_value = 0
        self.day_sell_quantity = self.day_sell_value = 0


@dataclass(slots=True)
class Holding:
    """Settled units and those of yesterday (`t1_quantity`); `cost` in paise of both."""

    key: str
    quantity: int = 0
    t1_quantity: int = 0
    cost: int = 0
    authorised_quantity: int = 0

    def settle(self, bought: int, cost: int) -> None:
        """End of day: yesterday's units settle; `bought` (negative: sold) units come or go."""
        units = self.quantity + self.t1_quantity
        self.quantity, self.t1_quantity = units, max(0, bought)
        self.authorised_quantity = 0
        sold = min(units, max(0, -bought))  # more cannot be delivered: the rest goes to auction
        if sold:
            self.cost -= self.cost * sold // units
            self.quantity -= sold
        elif bought > 0:
            self.cost += cost


@dataclass(slots=True)
class Reservation:
    """What one live order holds: money, delivery units it sells, units it closes."""

    key: str
    product: str
    is_buy: bool
    paise: int
    closing: int
    delivery_units: int


@dataclass
class Account:
    """`edis`: units must be authorised at the depository before a delivery sale (HTTP 428)."""

    user_id: str
    user_name: str
    cash: int
    opening_cash: int
    edis: bool = False
    positions: dict[PositionKey, Position] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    margins: dict[PositionKey, Margin] = field(default_factory=dict)
    _reserved: int = 0
    _delivery: Counter[str] = field(default_factory=Counter)
    _closing: Counter[tuple[str, str, bool]] = field(default_factory=Counter)

    @property
    def debits(self) -> int:
        """Money held back by orders and positions."""
        return self._reserved + sum(margin.total for margin in self.margins.values())

    @property
    def available(self) -> int:
        """Money free for new orders."""
        return self.cash - self.debits

    def net(self, key: str, product: str) -> int:
        """Signed units of a position."""
        position = self.positions.get((key, product))
        return position.quantity if position else 0

    def sellable(self, key: str) -> int:
        """Units that may still be sold for delivery: held, bought today, not already on sale."""
        holding = self.holdings.get(key)
        held = holding.quantity + holding.t1_quantity if holding else 0
        return held + self.net(key, "CNC") - self._delivery[key]

    def opening_quantity(self, key: str, product: str, is_buy: bool, quantity: int) -> int:
        """The part of `quantity` that would open exposure, given positions and live orders."""
        if product == "CNC":
            return quantity if is_buy else 0
        net = self.net(key, product)
        closable = max(0, -net if is_buy else net) - self._closing[(key, product, is_buy)]
        return max(0, quantity - max(0, closable))

    def reserve(self, order: Order, instrument: Instrument, price: int) -> None:
        """Hold what the rest of a live order needs, in place of what it held before."""
        self.release(order.order_id)
        rest = order.remaining
        opening = min(order.opening, rest)
        closing = 0 if order.product == "CNC" else rest - opening
        margin = order_margin(instrument, order.product, order.is_buy, rest, opening, price)
        units = rest if order.product == "CNC" and not order.is_buy else 0
        self.reservations[order.order_id] = Reservation(
            instrument.key, order.product, order.is_buy, margin.total, closing, units
        )
        self._count(self.reservations[order.order_id], 1)

    def release(self, order_id: str) -> None:
        """Give back what an order holds, if anything."""
        held = self.reservations.pop(order_id, None)
        if held:
            self._count(held, -1)

    def reserved_for(self, order_id: str) -> int:
        """Paise an order holds back."""
        held = self.reservations.get(order_id)
        return held.paise if held else 0

    def trade(self, instrument: Instrument, product: str, is_buy: bool, quantity: int, price: int) -> None:
        """Book a trade: units to the position; money in full, or the profit of what was closed."""
        key = (instrument.key, product)
        position = self.positions.setdefault(key, Position(*key))
        value = quantity * price
        profit = position.trade(is_buy, quantity, value)
        if is_cash_settled(instrument, product):
            self.cash += -value if is_buy else value
        else:
            self.cash += profit
        self.refresh_margin(instrument, product)

    def refresh_margin(self, instrument: Instrument, product: str) -> None:
        """Hold for a position what it needs now."""
        position = self.positions[(instrument.key, product)]
        self.margins[(instrument.key, product)] = position_margin(
            instrument, product, position.quantity, position.basis
        )

    def roll(self) -> None:
        """End of day: delivery trades become holdings, open positions are carried."""
        delivered = {p.key: p for p in self.positions.values() if p.product == "CNC"}
        for key in delivered.keys() | self.holdings.keys():
            position = delivered.get(key, Position(key, "CNC"))
            holding = self.holdings.setdefault(key, Holding(key))
            holding.settle(position.quantity, position.basis)
            if not holding.quantity + holding.t1_quantity:
                del self.holdings[key]
        for pair, position in list(self.positions.items()):
            if position.product == "CNC" or not position.quantity:
                del self.positions[pair]
                self.margins.pop(pair, None)
            else:
                position.roll()
        self.opening_cash = self.cash

    def clear(self) -> None:
        """Give up every reservation, position and holding, and the cash."""
        for table in (self.positions, self.holdings, self.reservations, self.margins, self._delivery, self._closing):
            table.clear()
        self._reserved = self.cash = self.opening_cash = 0

    def _count(self, held: Reservation, sign: int) -> None:
        self._reserved += sign * held.paise
        self._delivery[held.key] += sign * held.delivery_units
        self._closing[(held.key, held.product, held.is_buy)] += sign * held.closing

    def state(self) -> dict[str, object]:
        """What a restart must find again; reservations follow from the live orders."""
        return {
            "user_id": self.user_id,
            "user_name": self.user_name,
            "cash": self.cash,
            "opening_cash": self.opening_cash,
            "edis": self.edis,
            "positions": list(self.positions.values()),
            "holdings": list(self.holdings.values()),
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> "Account":
        """An account from what `state` gave."""
        positions = [Position(**fields) for fields in state.pop("positions")]
        holdings = [Holding(**fields) for fields in state.pop("holdings")]
        return cls(
            **state,
            positions={(p.key, p.product): p for p in positions},
            holdings={holding.key: holding for holding in holdings},
        )
