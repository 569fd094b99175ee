"""What an order's change means for the ledger: reserving, settling executions, giving back.

Works on an open desk; nothing is written here. The events that record the movements are noted beside them.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from compliance.audit import EventType
from ledger.positions import Trade
from ledger.rates import RateCard, capital_needed, charges_on, rate_card, reserve_price
from ledger.services.books import Booking, Fill, Reservation
from oms.lib.clock import ist_date
from oms.lib.money import ZERO
from orders.models import Execution, Order
from orders.services.desk import Desk
from orders.types import OrderType, Terms, TimeInForce

if TYPE_CHECKING:
    from ledger.models import Instrument


def terms_of(order: Order) -> Terms:
    """The terms that the broker last confirmed."""
    return Terms(
        quantity=order.quantity, price=order.price, stop_price=order.stop_price, type=OrderType(order.type),
        time_in_force=TimeInForce(order.time_in_force), disclosed_quantity=order.disclosed_quantity,
    )  # fmt: skip


def worst_price(order: Order, terms: Terms, last_price: Decimal | None) -> Decimal | None:
    """The worst price in rupees that `terms` may execute at; see `ledger.rates.reserve_price`."""
    return reserve_price(
        type=terms.type, side=order.side, price=terms.price, stop_price=terms.stop_price, last_price=last_price,
        protection=order.market_protection,
    )  # fmt: skip


def need_of(
    card: RateCard, order: Order, instrument: "Instrument", terms: Terms, closes: Decimal, price: Decimal
) -> Decimal:
    """Rupees that the unexecuted part of `terms` needs in reserve when `closes` of its units close a position."""
    remaining = terms.quantity - order.filled_quantity
    return capital_needed(
        card, instrument, product=order.product, side=order.side, quantity=remaining,
        opens=max(remaining - closes, ZERO), price=price,
    )  # fmt: skip


def note_capital(desk: Desk, order: Order, type: EventType, amount: Decimal, **more: object) -> None:
    """Record a movement of the order's capital with the buckets as they stand after it."""
    portfolio = desk.books.portfolios[order.portfolio_id]
    data = {
        "portfolio": portfolio.code, "amount": amount, "free": portfolio.free, "reserved": portfolio.reserved,
        "allocated": portfolio.allocated, **more,
    }  # fmt: skip
    desk.note(order, type, data)


def reserve(
    desk: Desk, order: Order, reservation: Reservation, amount: Decimal, units: Decimal, *, forced: bool = False
) -> None:
    """Reserve for a new, dearer or revived order. Raises InsufficientCapital unless forced by the broker's word."""
    key = f"{order.id}:RESERVE:{order.version}"
    desk.books.reserve(reservation, amount, key=key, units=units, forced=forced)
    if amount or units:
        note_capital(desk, order, EventType.CAPITAL_RESERVED, amount, units=units)


def release(desk: Desk, order: Order, *, failed: bool = False) -> None:
    """Give back whatever an order still holds, because it ended. One that never held anything has nothing to do."""
    reservation = desk.reservations[order.id]
    if not (reservation.reserve_id or reservation.reserved or reservation.units):
        return
    units = reservation.units
    amount = desk.books.release(reservation, failed=failed)
    if amount or units:
        type = EventType.CAPITAL_FAILED if failed else EventType.CAPITAL_RELEASED
        note_capital(desk, order, type, amount, units=units)


def lower(desk: Desk, order: Order, amount: Decimal, key: str) -> None:
    """Give back `amount` rupees, and the promised units beyond those that the order may still execute."""
    reservation = desk.reservations[order.id]
    amount = min(max(amount, ZERO), reservation.reserved)
    units = max(reservation.units - max(order.remaining_quantity, ZERO), ZERO)
    desk.books.lower(reservation, amount, key=key, units=units)
    if amount or units:
        note_capital(desk, order, EventType.CAPITAL_RELEASED, amount, units=units)


def book_execution(desk: Desk, order: Order, execution: Execution, *, replaces: Decimal = ZERO) -> Booking:
    """Book one execution against the order's reservation and its position.

    Call it before `order.filled_quantity` grows. `replaces` are units booked before by an inferred
    execution, which this one must not draw from the reservation again.
    """
    instrument = desk.instrument_of(order)
    card = rate_card(execution.trade_date)
    turnover = order.filled_value + execution.quantity * execution.price
    charges = charges_on(card.charge_rate(instrument, order.product), order.side, turnover) - order.charges
    trade = Trade(
        order.side, execution.quantity, execution.price,
        card.unit_margin(instrument, order.product, order.side, execution.price),
    )  # fmt: skip
    execution.charges = max(charges, ZERO)
    fill = Fill(
        execution_id=execution.id,
        trade=trade,
        charges=execution.charges,
        remaining=max(order.remaining_quantity - replaces, ZERO),
        draws=max(execution.quantity - replaces, ZERO),
        trade_date=execution.trade_date,
    )
    booking = desk.books.book(desk.reservations[order.id], fill)
    note_capital(
        desk, order, EventType.CAPITAL_ALLOCATED, booking.effect.allocated, execution_id=execution.id,
        released=booking.effect.released + booking.returned, realised=booking.effect.realised,
        charges=execution.charges,
    )  # fmt: skip
    return booking


def reserve_again(desk: Desk, order: Order) -> None:
    """Reserve for an order that we had given up and that is working after all, into overdraft if need be."""
    reservation = desk.reservations[order.id]
    if reservation.position_key is None:
        return
    closes = min(desk.books.closable(reservation.position_key, order.side), order.remaining_quantity)
    terms = terms_of(order)
    price = worst_price(order, terms, order.price_at_entry) or ZERO
    instrument, card = desk.instrument_of(order), rate_card(ist_date(desk.at))
    reservation.reserve_id = None  # the earlier reservation is closed as failed
    reserve(desk, order, reservation, need_of(card, order, instrument, terms, closes, price), closes, forced=True)
