"""What an order holds of the books, and what an execution does to them: the values that services hand to `Books`."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from ledger.positions import Effect, Trade
from oms.lib.errors import DomainError
from oms.lib.money import ZERO

#: (portfolio id, instrument id, product)
PositionKey = tuple[int, int, str]


class InsufficientCapital(DomainError):
    """A reservation asks for more than is free."""

    code = "insufficient_capital"
    title = "Not enough free capital"


@dataclass(slots=True)
class Reservation:
    """What one order holds: rupees reserved for it, and units of its position promised to it."""

    order_id: UUID
    portfolio_id: int
    position_key: PositionKey | None
    reserve_id: UUID | None = None
    reserved: Decimal = ZERO
    units: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution to be booked.

    `remaining` are the units that the reservation still covers before it. `draws` are the units that use up the order's
    reservation: all of them, unless they replace units booked before (an inferred execution).
    """

    execution_id: UUID
    trade: Trade
    charges: Decimal
    remaining: Decimal
    draws: Decimal
    trade_date: date


@dataclass(frozen=True, slots=True)
class Booking:
    """What a fill did to the books: its effect on the position, and the rupees of the reservation that it gave back."""

    effect: Effect
    returned: Decimal
