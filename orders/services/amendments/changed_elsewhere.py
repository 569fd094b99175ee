"""Terms that changed at the broker without us: taken over, since the broker's are the ones that execute.

Somebody used the broker's own app, or a change of ours that timed out was applied after all.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from ledger.rates import rate_card
from oms.lib.clock import ist_date
from oms.lib.money import ZERO
from orders.models import Order
from orders.services import postings
from orders.services.amendments.outcomes import SETTLES_WITHIN, take_terms
from orders.services.desk import Desk
from orders.types import PRICED, UNPRICED, Terms


def was_changed_since(desk: Desk, order: Order, looked_at: datetime) -> bool:
    """Whether a change of ours was sent so shortly before a look began that the look may show what was before."""
    latest = desk.amended_at(order)
    return latest is not None and looked_at - latest < SETTLES_WITHIN


def adopt_terms(desk: Desk, order: Order, seen: Terms) -> None:
    """Make the broker's terms the order's, reserve what they need (into overdraft if need be) and raise an alert."""
    new = _that_fit(order, seen)
    take_terms(desk, order, new, by="outside this system")
    _reserve_for(desk, order, new)
    desk.alert(
        order, key=f"changed-outside:{order.id}:{order.version}", kind="CHANGED_OUTSIDE",
        summary=f"{order} was changed at the broker, not from here",
    )  # fmt: skip


def _that_fit(order: Order, seen: Terms) -> Terms:
    """What of the row's terms the order can have: the type stays where the broker shows one of its own making."""
    if order.type in UNPRICED or seen.type not in PRICED or seen.price is None:
        return replace(postings.terms_of(order), quantity=seen.quantity)
    return seen


def _reserve_for(desk: Desk, order: Order, terms: Terms) -> None:
    reservation = desk.reservations[order.id]
    price = postings.worst_price(order, terms, order.price_at_entry)
    if reservation.position_key is None or price is None:
        return
    more = max(order.remaining_quantity - reservation.units, ZERO)
    closes: Decimal = min(desk.books.closable(reservation.position_key, order.side), more)
    card, instrument = rate_card(ist_date(desk.at)), desk.instrument_of(order)
    need = postings.need_of(card, order, instrument, terms, reservation.units + closes, price)
    if need > reservation.reserved or closes:
        postings.reserve(desk, order, reservation, max(need - reservation.reserved, ZERO), closes, forced=True)
    else:
        postings.lower(desk, order, reservation.reserved - need, f"{order.id}:LOWER:{order.version}")
