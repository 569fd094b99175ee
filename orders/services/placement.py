"""Placing orders: screening, reservation, the order and its events, in one transaction, before any broker hears of it.

Written for a list in which every order stands or falls alone: each comes from its own person and with its own key.
What a rule or missing capital refuses is stored as a REJECTED order. What concerns a person's right (an account
that is not theirs), a name that is taken (a client order id, a key) or a portfolio that does not exist leaves no
order behind: nobody may write a row onto somebody else's account.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction

from compliance import idempotency
from compliance.audit import EventType
from compliance.idempotency import REUSED, Idempotent, KeyReused, SentKey, StoredAnswer
from compliance.screening.facts import Denial
from compliance.screening.rules import Finding, Verdict, screen
from compliance.selectors import Trading, tradable_accounts
from ledger.rates import NoRate, capital_needed
from ledger.services.books import InsufficientCapital
from oms.lib.actors import Actor
from oms.lib.clock import ist_date
from oms.lib.db import PLANNED_ONCE, read_all
from oms.lib.errors import Conflict, DomainError, Invalid, NotFound
from oms.lib.hints import Hint, hint
from oms.lib.ids import new_id, tag_of
from oms.lib.money import ZERO
from oms.lib.users import User
from orders.models import Order
from orders.services import postings
from orders.services.desk import Desk, Refusal
from orders.services.endings import progress
from orders.services.surroundings import Intake, Line, Listings, gather, listings_of
from orders.states import Event, State
from orders.types import OrderRequest

if TYPE_CHECKING:
    from compliance.models import Account
    from ledger.models import Instrument


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of one intent.

    `order` is the order as stored, `denial` the check that refused it. `error` says why nothing was stored.
    `answer` is what the intent's key gives now and ever after; `is_repeat` when the key had it before.
    """

    order: Order | None = None
    denial: Finding | None = None
    error: DomainError | None = None
    answer: StoredAnswer | None = None
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """One order that somebody wants placed. `user` is whose rights count; None is the house itself."""

    request: OrderRequest
    actor: Actor
    user: User | None = None
    idempotent: Idempotent[Placement] | None = None
    origin: str = Order.Origin.API

    @property
    def trading(self) -> Trading:
        """Which account is to be traded, and by whom."""
        return self.request.account, None if self.user is None else self.user.pk

    @property
    def sent_key(self) -> SentKey | None:
        return self.idempotent.sent_key if self.idempotent else None


def place_orders(intents: Sequence[Intent], *, at: datetime) -> list[Placement]:
    """Accept or refuse each intent, durably; one placement per intent, in order.

    Raises Invalid for an empty list. All else that is wrong with an order is in its placement.
    """
    if not intents:
        raise Invalid("Send at least one order.", code="empty")
    listings = listings_of([intent.request for intent in intents], at=at)
    while True:
        try:
            return _place(intents, listings, at)
        except KeyReused:
            # Somebody took one of the keys for an account that we hold no lock of, and has committed: nothing of
            # ours stands, and beginning anew we see that answer. Each time there is one key less to be taken.
            continue


def _place(intents: Sequence[Intent], listings: Listings, at: datetime) -> list[Placement]:
    with transaction.atomic(durable=True):
        # The accounts' locks come first, along with BEGIN: a twin of a key waits there and then finds its answer.
        _, accounts, answered = read_all(
            PLANNED_ONCE,
            tradable_accounts(intent.trading for intent in intents),
            idempotency.stored_answers(sent_key for intent in intents if (sent_key := intent.sent_key)),
        )
        placements = {n: _beforehand(intent, accounts, answered) for n, intent in enumerate(intents)}
        fresh = {n: intents[n] for n, placement in placements.items() if placement is None}
        if fresh:
            placements |= _take_all(fresh, accounts, listings, at)
    return [placement for placement in placements.values() if placement is not None]


def _beforehand(
    intent: Intent,
    accounts: Mapping[Trading, "Account | DomainError"],
    answered: Mapping[SentKey, StoredAnswer | KeyReused],
) -> Placement | None:
    """What is settled before any rule is asked: no right to trade the account, or a key that was used before."""
    account = accounts[intent.trading]
    if isinstance(account, DomainError):
        return Placement(error=account)
    before = answered.get(intent.sent_key) if intent.sent_key else None
    if isinstance(before, KeyReused):
        return Placement(error=before)
    return Placement(answer=before, is_repeat=True) if before else None


def _take_all(
    intents: Mapping[int, Intent], accounts: Mapping[Trading, "Account"], listings: Listings, at: datetime
) -> dict[int, Placement]:
    """Decide each intent in turn, then write the orders and their answers at once."""
    requests, actor = [intent.request for intent in intents.values()], next(iter(intents.values())).actor
    mine = {intent.request.account: accounts[intent.trading] for intent in intents.values()}
    intake = gather(requests, mine, listings, actor=actor, at=at)
    desk = Desk(actor=actor, at=at)
    desk.bring(intake.books)
    placements: dict[int, Placement] = {}
    keys: dict[tuple[str, str], SentKey] = {}
    for (n, intent), line in zip(intents.items(), intake.lines, strict=True):
        sent_key = intent.sent_key
        twin = keys.get((sent_key.principal, sent_key.key)) if sent_key else None
        if twin is not None:
            same = twin == sent_key
            placements[n] = Placement(is_repeat=same, error=None if same else KeyReused(REUSED))
            continue
        placements[n] = _take(intent, line, intake, desk)
        if sent_key and placements[n].order:
            keys[sent_key.principal, sent_key.key] = sent_key
    desk.write()
    placements = _with_answers(intents, placements, at)
    # Without a session nothing can be sent: whoever logs in finds what waits.
    waiting = [p.order.account_id for p in placements.values() if p.order and p.order.state == State.CREATED]
    for route in {line.route for line in intake.lines if line.route and line.account.pk in waiting}:
        if route.has_session:
            hint(Hint.SEND, route.broker_account_id)
    return placements


def _with_answers(
    intents: Mapping[int, Intent], placements: Mapping[int, Placement], at: datetime
) -> dict[int, Placement]:
    """The placements with what each key gives from now on, stored; a repeat in the same list gets the first's."""
    answers: dict[SentKey, StoredAnswer] = {}
    given: dict[int, Placement] = {}
    for n, placement in placements.items():
        idempotent = intents[n].idempotent
        if idempotent and placement.order:
            answers[idempotent.sent_key] = idempotent.respond(placement)
        given[n] = replace(placement, answer=answers.get(idempotent.sent_key)) if idempotent else placement
    if answers:
        idempotency.store(answers, at=at)
    return given


def _take(intent: Intent, line: Line, intake: Intake, desk: Desk) -> Placement:
    """Screen one request, reserve for it, and put the order on the desk either way."""
    request = line.request
    if line.portfolio is None:
        detail = f"Account {request.account} has no portfolio {request.portfolio or ''}".rstrip() + "."
        return Placement(error=NotFound(detail))
    if request.client_order_id:
        reference = (line.account.pk, request.client_order_id)
        if reference in intake.references:
            detail = "An order with this clientOrderId exists already: use a new one for a new order."
            return Placement(error=Conflict(detail, code="client_order_id_used"))
        intake.references.add(reference)
    desk.act_for(intent.actor)
    closes = intake.closes(line)
    proposal = line.proposal(closes)
    verdict = screen(proposal, intake.around(line))
    order = _order(intent, line, at=desk.at)
    desk.add(order)
    if verdict.denial is None:
        verdict = _reserve(order, line, intake, desk, verdict, closes, proposal.value or ZERO)
    if verdict.denial is not None:
        _refuse(order, line, desk, verdict, verdict.denial)
    return Placement(order=order, denial=verdict.denial)


def _reserve(
    order: Order, line: Line, intake: Intake, desk: Desk, verdict: Verdict, closes: Decimal, value: Decimal
) -> Verdict:
    """Hold the capital and units that the order needs; the verdict gains a denial when they are not there."""
    opens, instrument = order.quantity - closes, line.instrument
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
    desk.note(order, EventType.ORDER_CREATED, _description(order, line, verdict))
    postings.note_capital(desk, order, EventType.CAPITAL_RESERVED, need, units=closes)
    intake.count(line, value)
    return verdict


def _denied(verdict: Verdict, code: Denial, message: str, value: object, limit: object, pointer: str) -> Verdict:
    return Verdict((*verdict.findings, Finding(code, False, str(value), str(limit), message, pointer)))


def _refuse(order: Order, line: Line, desk: Desk, verdict: Verdict, denial: Finding) -> None:
    data = {**_description(order, line, verdict), "reason": denial.message}
    refusal = Refusal(denial.code.value, denial.message)
    progress(desk, order, Event.DEF_REJECT, data, refusal=refusal, recorded_as=EventType.RISK_REJECTED)


def _order(intent: Intent, line: Line, *, at: datetime) -> Order:
    request, instrument, route = line.request, line.instrument, line.route
    return Order(
        id=new_id(), account=line.account, portfolio=line.portfolio, instrument=instrument,
        broker_account_id=route.broker_account_id if route else None, origin=intent.origin, exchange=request.exchange,
        symbol=request.symbol, segment=instrument.segment if instrument else "", side=request.side, type=request.type,
        product=request.product, variety=request.variety, time_in_force=request.time_in_force,
        validity_minutes=request.validity_minutes, quantity=request.quantity, price=request.price,
        stop_price=request.stop_price, disclosed_quantity=request.disclosed_quantity,
        iceberg_legs=request.iceberg_legs, market_protection=request.market_protection,
        price_at_entry=line.last_price, client_order_id=request.client_order_id,
        strategy_id=request.strategy_id, algo_id=request.algo_id, notes=request.notes,
        placed_by_id=intent.trading[1], trade_date=ist_date(at), created_at=at, updated_at=at,
    )  # fmt: skip


def _description(order: Order, line: Line, verdict: Verdict) -> dict[str, Any]:
    """All that a report needs of the order, and every check with its value and limit."""
    account, algo = line.account, line.algo
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
        **_contract_terms(line.instrument),
    }  # fmt: skip


def _contract_terms(instrument: "Instrument | None") -> dict[str, Any]:
    """What the exchange's forms ask of the contract; empty for one that is not on file."""
    if instrument is None:
        return {}
    return {
        "instrument_type": instrument.type, "token": str(instrument.token), "expiry": instrument.expiry,
        "strike": instrument.strike, "lot_size": instrument.lot_size,
    }  # fmt: skip
