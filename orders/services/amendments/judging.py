"""Judging a modification: what the new terms would be, whether the rules admit them, and what capital they need.

Nothing is reserved or written here: `orders.services.amendments.asking` does that with the `Change` it gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from compliance.screening.facts import Exposure, Proposal
from compliance.screening.rules import Verdict, screen
from ledger.rates import NoRate, RateCard
from ledger.services.books import InsufficientCapital
from oms.lib.errors import DomainError, FieldError, Invalid, NotFound
from oms.lib.money import ZERO
from orders.models import Order
from orders.services import postings
from orders.services.desk import Desk, position_key
from orders.services.surroundings import Line, Listings, gather, listings_of
from orders.types import PRICED, STOPS, Modification, OrderRequest, Side, Terms, TimeInForce, Variety

if TYPE_CHECKING:
    from compliance.models import Account


@dataclass(frozen=True, slots=True)
class Change:
    """Old and new terms; the rupees that the unexecuted part will `need` in all, how much of that must be
    raised now, and the further units of the position to promise.
    """

    old: Terms
    new: Terms
    need: Decimal
    raises: Decimal
    extra_units: Decimal


def listings_around(order_id: UUID, *, at: datetime) -> Listings:
    """What is listed and quoted of an order's instrument. Call it while nothing is locked. Raises NotFound."""
    order = Order.objects.select_related("portfolio").filter(pk=order_id).first()
    if order is None:
        raise NotFound("There is no such order.")
    return listings_of([_as_it_would_be(order, postings.terms_of(order), account="")], at=at)


def judge(
    desk: Desk, order: Order, changes: Modification, accounts: "Mapping[str, Account]", listings: Listings
) -> Change:
    """Judge new terms under the account's lock, by the rules for new orders; opens the desk's books.

    Raises Invalid for terms that contradict themselves or change nothing, DomainError (422) with the
    denial's code when a rule refuses them, InsufficientCapital.
    """
    old = postings.terms_of(order)
    new = _merged(old, changes)
    _check_shape(order, old, new)
    request = _as_it_would_be(order, new, next(iter(accounts)))
    intake = gather([request], accounts, listings, actor=desk.actor, at=desk.at)
    (line,) = intake.lines
    desk.bring(intake.books)
    closes = _closes(desk, order, new)
    proposal = replace(line.proposal(closes), replaces=_exposure(order, old, new, line))
    _raise_denial(screen(proposal, intake.around(line)))
    if order.product == "CNC" and order.side == "SELL" and not proposal.only_closes:
        raise DomainError(f"Only {closes:f} units are held and free to sell.", code="INSUFFICIENT_HOLDINGS")
    return _funded(desk, order, old, new, line, intake.card, proposal)


def only_loses_units(old: Terms, new: Terms) -> bool:
    """Whether a change takes units away and alters nothing else."""
    return new.quantity < old.quantity and replace(new, quantity=old.quantity) == old


def _merged(old: Terms, changes: Modification) -> Terms:
    given = {name: value for name in Terms.__slots__ if (value := getattr(changes, name)) is not None}
    new = replace(old, **given)
    if new.type not in PRICED:
        new = replace(new, price=None if changes.price is None else new.price)
    if new.type not in STOPS:
        new = replace(new, stop_price=None if changes.stop_price is None else new.stop_price)
    return new


def _check_shape(order: Order, old: Terms, new: Terms) -> None:
    errors: list[FieldError] = []
    for pointer, wanted, value in (
        ("/price", new.type in PRICED, new.price),
        ("/stopPrice", new.type in STOPS, new.stop_price),
    ):
        if wanted and value is None:
            errors.append(FieldError(pointer, "required", f"A {new.type} order needs it."))
        if not wanted and value is not None:
            errors.append(FieldError(pointer, "not_allowed", f"A {new.type} order has none."))
    if new.time_in_force == TimeInForce.TTL and old.time_in_force != TimeInForce.TTL:
        errors.append(FieldError("/timeInForce", "not_allowed", "An order is given its minutes when it is placed."))
    if new.quantity <= order.filled_quantity:
        errors.append(
            FieldError(
                "/quantity", "not_above_filled",
                f"{order.filled_quantity:f} are executed already: the new total must be larger, or cancel.",
            )
        )  # fmt: skip
    if new == old:
        errors.append(FieldError("", "nothing_changes", "The order has these terms already."))
    if errors:
        raise Invalid("The new terms are not valid.", errors=tuple(errors))


def _as_it_would_be(order: Order, terms: Terms, account: str) -> OrderRequest:
    """The changed order as a request: by that the surroundings are found."""
    return OrderRequest(
        account=account, exchange=order.exchange, symbol=order.symbol, side=Side(order.side), type=terms.type,
        quantity=terms.quantity, price=terms.price, stop_price=terms.stop_price, time_in_force=terms.time_in_force,
        product=order.product, variety=Variety(order.variety), disclosed_quantity=terms.disclosed_quantity,
        market_protection=order.market_protection, portfolio=order.portfolio.code, algo_id=order.algo_id,
    )  # fmt: skip


def _closes(desk: Desk, order: Order, new: Terms) -> Decimal:
    """Units of the position that the unexecuted part would close: those promised to it, and what is free."""
    key = position_key(order)
    if key is None:
        return ZERO
    promised = desk.reservations[order.id].units
    return min(new.quantity - order.filled_quantity, promised + desk.books.closable(key, order.side))


def _exposure(order: Order, old: Terms, new: Terms, line: Line) -> Exposure:
    price = postings.worst_price(order, old, line.last_price)
    counted_at = old.price or old.stop_price or order.price_at_entry or ZERO  # as `orders.selectors.open_values` does
    return Exposure(
        quantity=old.quantity,
        executed=order.filled_quantity,
        value=None if price is None else price * old.quantity,
        open_value=counted_at * order.remaining_quantity,
        stop_price=old.stop_price,
        loses_units_only=only_loses_units(old, new),
    )


def _raise_denial(verdict: Verdict) -> None:
    denial = verdict.denial
    if denial is not None:
        errors = (FieldError(denial.pointer, denial.code, denial.message),) if denial.pointer else ()
        raise DomainError(denial.message, code=denial.code, errors=errors)


def _funded(desk: Desk, order: Order, old: Terms, new: Terms, line: Line, card: RateCard, proposal: Proposal) -> Change:
    """The change with the capital that it needs, all of which is there."""
    assert line.instrument is not None, "screening refuses what is not on file"
    reservation = desk.reservations[order.id]
    price = (proposal.value or ZERO) / new.quantity
    try:
        need = postings.need_of(card, order, line.instrument, new, proposal.closes, price)
    except NoRate as error:
        raise DomainError(f"{error}: ask an operator to add it.", code="NO_RATE") from error
    raises = max(need - reservation.reserved, ZERO)
    free = desk.books.portfolios[order.portfolio_id].free
    if raises > free:
        raise InsufficientCapital(f"The change needs ₹{raises} more, of which ₹{free} is free.")
    return Change(old, new, need, raises, extra_units=max(proposal.closes - reservation.units, ZERO))
