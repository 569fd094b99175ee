"""Placing orders: screening, reservation, the order and its events, in one transaction, before any broker hears of it.

Written for a list; one order is a list of one. An order that a rule refuses is stored as REJECTED with
its reason and costs the others nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction

from compliance import idempotency
from compliance.audit import EventType
from compliance.idempotency import Idempotent
from compliance.screening.facts import Denial
from compliance.screening.rules import Finding, Verdict, screen
from compliance.selectors import lock_tradable_accounts
from ledger.rates import NoRate, capital_needed
from ledger.services.books import InsufficientCapital
from oms.lib.actors import Actor
from oms.lib.clock import ist_date
from oms.lib.errors import Conflict, Invalid, NotFound
from oms.lib.hints import hint
from oms.lib.ids import new_id, tag_of
from oms.lib.money import ZERO
from orders.models import Order
from orders.services import postings
from orders.services.desk import Desk
from orders.services.surroundings import Intake, gather
from orders.states import Event, State
from orders.types import OrderRequest

User = AbstractBaseUser | AnonymousUser


def place_orders(
    requests: Sequence[OrderRequest],
    *,
    actor: Actor,
    at: datetime,
    user: User | None,
    idempotent: Idempotent | None = None,
    origin: str = Order.Origin.API,
) -> list[Order]:
    """Accept or refuse each request, durably; one order per request, in order.

    Raises NotFound or Forbidden for an account that `user` cannot see or trade (None: the house),
    Conflict when a clientOrderId was used before, AlreadyAnswered and KeyReused for a repeated key.
    """
    if not requests:
        raise Invalid("Send at least one order.", code="empty")
    try:
        with transaction.atomic(durable=True):
            accounts = lock_tradable_accounts({r.account for r in requests}, user)
            if idempotent is not None:
                idempotency.check(idempotent.claim)
            intake = gather(requests, accounts, actor=actor, at=at)
            desk = Desk(actor=actor, at=at)
            desk.bring(intake.books)
            orders = [_take(request, intake, desk, user, origin) for request in requests]
            desk.write()
            if idempotent is not None:
                idempotency.store(idempotent.claim, idempotent.respond(orders), at=at)
            # Without a session nothing can be sent: whoever logs in finds what waits.
            for route in {intake.routes[o.account_id] for o in orders if o.state == State.CREATED}:
                if route.has_session:
                    hint("submit", route.broker_account_id)
    except IntegrityError as error:
        raise _as_conflict(error) from error
    return orders


def _as_conflict(error: IntegrityError) -> Exception:
    if "order_client_id_once" in str(error):
        detail = "An order with this clientOrderId exists already: use a new one for a new order."
        return Conflict(detail, code="client_order_id_used")
    return error


def _take(request: OrderRequest, intake: Intake, desk: Desk, user: User | None, origin: str) -> Order:
    """Screen one request, reserve for it, and put the order on the desk either way."""
    portfolio_id = intake.portfolio_of(request)
    if portfolio_id is None:
        raise NotFound(f"Account {request.account} has no portfolio {request.portfolio or ''}".rstrip() + ".")
    instrument = intake.instrument_of(request)
    closes = intake.closes(request, instrument, portfolio_id) if instrument else ZERO
    proposal = intake.proposal(request, closes)
    verdict = screen(proposal, intake.surroundings(request))
    order = _order(request, intake, desk, user, portfolio_id, origin)
    desk.add(order)
    if verdict.denial is None:
        verdict = _reserve(request, intake, desk, order, verdict, closes, proposal.value or ZERO)
    if verdict.denial is not None:
        _refuse(order, verdict, intake, desk)
    return order


def _reserve(
    request: OrderRequest, intake: Intake, desk: Desk, order: Order, verdict: Verdict, closes: Decimal, value: Decimal
) -> Verdict:
    """Hold the capital and units that the order needs; the verdict gains a denial when they are not there."""
    opens, instrument = order.quantity - closes, order.instrument
    assert instrument is not None, "screening refuses what is not on file"
    if order.product == "CNC" and order.side == "SELL" and opens:
        message = f"Only {closes:f} units are held and free to sell."
        return _denied(verdict, Denial.INSUFFICIENT_HOLDINGS, message, order.quantity, closes, "/quantity")
    reservation = desk.reservations[order.id]
    try:
        need = capital_needed(
            intake.card, instrument, product=order.product, side=order.side,
            quantity=order.quantity, opens=opens, price=value / order.quantity,
        )  # fmt: skip
        intake.books.reserve(reservation, need, key=f"{order.id}:RESERVE:{order.version}", units=closes)
    except NoRate as error:
        return _denied(verdict, Denial.NO_RATE, f"{error}: ask an operator to add it.", order.product, "", "/product")
    except InsufficientCapital as error:
        free = intake.books.portfolios[order.portfolio_id].free
        return _denied(verdict, Denial.INSUFFICIENT_CAPITAL, error.detail, need, free, "/quantity")
    order.tag = tag_of(order.id)
    desk.note(order, EventType.ORDER_CREATED, _description(order, verdict, intake))
    postings.note_capital(desk, order, EventType.CAPITAL_RESERVED, need, units=closes)
    intake.count(request, value)
    return verdict


def _denied(verdict: Verdict, code: Denial, message: str, value: object, limit: object, pointer: str) -> Verdict:
    return Verdict((*verdict.findings, Finding(code, False, str(value), str(limit), message, pointer)))


def _refuse(order: Order, verdict: Verdict, intake: Intake, desk: Desk) -> None:
    denial = verdict.denial
    assert denial is not None
    order.rejection_code, order.rejection_reason = denial.code.value, denial.message[:500]
    order.denial = denial  # for the door that answers this very request: which field was at fault
    data = {**_description(order, verdict, intake), "reason": denial.message}
    desk.fire(order, Event.DEF_REJECT, data, recorded_as=EventType.RISK_REJECTED)


def _order(
    request: OrderRequest, intake: Intake, desk: Desk, user: User | None, portfolio_id: int, origin: str
) -> Order:
    account, instrument = intake.accounts[request.account], intake.instrument_of(request)
    route = intake.routes.get(account.pk)
    return Order(
        id=new_id(), account=account, portfolio=intake.books.portfolios[portfolio_id], instrument=instrument,
        broker_account_id=route.broker_account_id if route else None, origin=origin, exchange=request.exchange,
        symbol=request.symbol, segment=instrument.segment if instrument else "", side=request.side, type=request.type,
        product=request.product, variety=request.variety, time_in_force=request.time_in_force,
        validity_minutes=request.validity_minutes, quantity=request.quantity, price=request.price,
        stop_price=request.stop_price, disclosed_quantity=request.disclosed_quantity,
        iceberg_legs=request.iceberg_legs, market_protection=request.market_protection,
        price_at_entry=intake.last_price(instrument), client_order_id=request.client_order_id,
        strategy_id=request.strategy_id, algo_id=request.algo_id, notes=request.notes,
        placed_by_id=None if user is None else user.pk, trade_date=ist_date(desk.at), created_at=desk.at,
        updated_at=desk.at,
    )  # fmt: skip


def _description(order: Order, verdict: Verdict, intake: Intake) -> dict[str, Any]:
    """All that a report needs of the order, and every check with its value and limit."""
    account = intake.accounts[next(a for a, row in intake.accounts.items() if row.pk == order.account_id)]
    algo = intake.controls.algo(account.pk, order.algo_id)
    return {
        "account": account.code, "account_kind": account.kind, "ucc": account.ucc, "portfolio": order.portfolio.code,
        "placed_by": order.placed_by_id and str(order.placed_by_id), "validity_minutes": order.validity_minutes,
        "iceberg_legs": order.iceberg_legs, "market_protection": order.market_protection,
        "exchange": order.exchange, "symbol": order.symbol,
        "segment": order.segment, "side": order.side, "order_type": order.type, "product": order.product,
        "variety": order.variety, "validity": order.time_in_force, "quantity": order.quantity, "price": order.price,
        "stop_price": order.stop_price, "disclosed_quantity": order.disclosed_quantity, "tag": order.tag,
        "client_order_id": order.client_order_id, "strategy_id": order.strategy_id, "algo_id": order.algo_id,
        "algo_version": algo.version if algo else "", "algo_category": algo.category if algo else "",
        "algo_vendor": algo.vendor if algo else "", "last_price": order.price_at_entry, "origin": order.origin,
        "checks": [
            {"check": f.code, "passed": f.passed, "value": f.value, "limit": f.limit, "source": f.source}
            for f in verdict.findings
        ],
        **_contract_terms(order.instrument),
    }  # fmt: skip


def _contract_terms(instrument: Any) -> dict[str, Any]:
    """What the exchange's forms ask of the contract; empty for one that is not on file."""
    if instrument is None:
        return {}
    return {
        "instrument_type": instrument.type, "token": str(instrument.token), "expiry": instrument.expiry,
        "strike": instrument.strike, "lot_size": instrument.lot_size,
    }  # fmt: skip
