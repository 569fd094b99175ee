"""New terms for a working order: what they would be, whether the rules admit them, and what capital they need."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from compliance.screening.rules import screen
from ledger.rates import NoRate
from ledger.services.books import InsufficientCapital
from oms.lib.errors import DomainError, FieldError, Invalid
from oms.lib.money import ZERO
from orders.models import Order
from orders.services import postings
from orders.services.desk import Desk, position_key
from orders.services.surroundings import Intake, gather
from orders.types import PRICED, STOPS, Modification, OrderRequest, Side, Terms, TimeInForce, Variety


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

    def described(self) -> dict[str, Any]:
        """Old and new value of each term that changes."""
        names = [n for n in Terms.__slots__ if getattr(self.old, n) != getattr(self.new, n)]
        return {"old": {n: getattr(self.old, n) for n in names}, "new": {n: getattr(self.new, n) for n in names}}

    def apply(self, order: Order) -> None:
        """Make the new terms the order's own."""
        apply_terms(order, self.new)


def apply_terms(order: Order, terms: Terms) -> None:
    """Make `terms` the order's confirmed ones."""
    order.quantity, order.price, order.stop_price = terms.quantity, terms.price, terms.stop_price
    order.type, order.time_in_force = terms.type, terms.time_in_force
    order.disclosed_quantity = terms.disclosed_quantity


def change_of(desk: Desk, order: Order, changes: Modification, accounts: Mapping[str, Any]) -> Change:
    """Judge the new terms under the account's lock, as a new order would be, and open the desk's books.

    Raises Invalid for terms that contradict themselves or change nothing, DomainError (422) with the
    denial's code when a rule refuses them, InsufficientCapital.
    """
    old = postings.terms_of(order)
    new = _merged(old, changes)
    _check_shape(order, old, new)
    request = _as_request(order, new, next(iter(accounts)))
    intake = gather([request], accounts, actor=desk.actor, at=desk.at)
    desk.bring(intake.books)
    _set_aside(intake, order, old)
    reservation = desk.reservations[order.id]
    key = position_key(order)
    remaining = new.quantity - order.filled_quantity
    closes = min(remaining, reservation.units + intake.books.closable(key, order.side)) if key else ZERO
    proposal = replace(intake.proposal(request, closes), closes=_for_rules(closes, remaining, new))
    verdict = screen(proposal, replace(intake.surroundings(request), orders_this_second=-1, is_duplicate=False))
    if verdict.denial is not None:
        denial = verdict.denial
        errors = (FieldError(denial.pointer, denial.code, denial.message),) if denial.pointer else ()
        raise DomainError(denial.message, code=denial.code, errors=errors)
    if order.product == "CNC" and order.side == "SELL" and closes < remaining:
        raise DomainError(f"Only {closes:f} units are held and free to sell.", code="INSUFFICIENT_HOLDINGS")
    price = (proposal.value or ZERO) / request.quantity
    try:
        need = postings.need_of(intake.card, order, intake.instrument_of(request), new, closes, price)
    except NoRate as error:
        raise DomainError(f"{error}: ask an operator to add it.", code="NO_RATE") from error
    raises = max(need - reservation.reserved, ZERO)
    free = intake.books.portfolios[order.portfolio_id].free
    if raises > free:
        raise InsufficientCapital(f"The change needs ₹{raises} more, of which ₹{free} is free.")
    return Change(old, new, need, raises, max(closes - reservation.units, ZERO))


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


def _as_request(order: Order, terms: Terms, account: str) -> OrderRequest:
    return OrderRequest(
        account=account, exchange=order.exchange, symbol=order.symbol, side=Side(order.side), type=terms.type,
        quantity=terms.quantity, price=terms.price, stop_price=terms.stop_price, time_in_force=terms.time_in_force,
        product=order.product, variety=Variety(order.variety), disclosed_quantity=terms.disclosed_quantity,
        market_protection=order.market_protection, algo_id=order.algo_id,
    )  # fmt: skip


def _set_aside(intake: Intake, order: Order, old: Terms) -> None:
    """Take the order itself out of what it is judged beside."""
    working = old.price or old.stop_price or order.price_at_entry or ZERO
    held = intake.open_values.get(order.account_id, ZERO)
    intake.open_values[order.account_id] = held - order.remaining_quantity * working
    side = (order.account_id, order.instrument_id or 0, order.side)
    signed = order.remaining_quantity if order.side == "BUY" else -order.remaining_quantity
    intake.projected[side] = intake.projected.get(side, ZERO) - signed - _executed(order)


def _executed(order: Order) -> Decimal:
    """The executed part is in the position already; the rules add the whole new quantity on top."""
    return order.filled_quantity if order.side == "BUY" else -order.filled_quantity


def _for_rules(closes: Decimal, remaining: Decimal, new: Terms) -> Decimal:
    """The rules ask whether an order closes entirely; of a part-filled one, the rest decides."""
    return new.quantity if closes == remaining else closes
