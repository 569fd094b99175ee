"""What new orders refer to and are judged by, read for a whole list in a fixed number of statements.

What the market knows is read first, while nothing is locked. The rest is read under the accounts' locks, so what
an order is judged by still holds when it commits. The orders of one list see each other: each accepted one counts
for those after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from compliance.screening.facts import Contract, Limits, Proposal, Surroundings
from compliance.screening.limits import strictest
from compliance.screening.rules import may_be_waited_for
from compliance.selectors import Controls, control_reads
from ledger.market.calendar import Market, is_open
from ledger.market.prices import fresh_prices
from ledger.rates import RateCard, rate_card, reserve_price
from ledger.selectors import held_units, instruments_named
from ledger.services.books import Books
from ledger.services.locking import books_named
from oms.lib.actors import Actor
from oms.lib.clock import ist_date
from oms.lib.db import PLANNED_ONCE, Read, nothing_asked, read_all
from oms.lib.money import ZERO
from orders import selectors
from orders.types import UNPRICED, OrderRequest, Variety

if TYPE_CHECKING:
    from compliance.models import Account, AlgoRegistration, KillSwitch
    from ledger.models import CapitalAccount, Instrument

#: Reads of different things, made together.
AnyRead: TypeAlias = Read[Any]


@dataclass(frozen=True, slots=True)
class Listings:
    """The instruments that some requests name, their fresh last prices in rupees by id, and the day's rates."""

    instruments: Mapping[tuple[str, str], "Instrument"]
    last_prices: Mapping[int, Decimal]
    card: RateCard


def listings_of(requests: Iterable[OrderRequest], *, at: datetime) -> Listings:
    """What the market lists under the requests' names.

    Call it while nothing is locked: prices come from Redis, which may be slow to answer.
    """
    _, instruments = read_all(PLANNED_ONCE, instruments_named((r.exchange, r.symbol) for r in requests))
    prices = fresh_prices([instrument.pk for instrument in instruments.values()], at=at)
    return Listings(instruments, prices, rate_card(ist_date(at)))


@dataclass(frozen=True, slots=True)
class Line:
    """One request with all that it refers to, resolved once for every step; None is what does not exist."""

    request: OrderRequest
    account: "Account"
    portfolio: "CapitalAccount | None"
    instrument: "Instrument | None"
    algo: "AlgoRegistration | None"
    switch: "KillSwitch | None"
    route: selectors.Route | None
    limits: Limits
    last_price: Decimal | None

    @property
    def signed(self) -> Decimal:
        """The units asked for, negative for a sale."""
        return self.request.quantity if self.request.side == "BUY" else -self.request.quantity

    @property
    def fingerprint(self) -> selectors.Fingerprint:
        """See `orders.selectors.recent_fingerprints`."""
        r = self.request
        return (
            self.account.pk, r.exchange, r.symbol, str(r.side), str(r.type), r.product, r.quantity, r.price,
            r.stop_price,
        )  # fmt: skip

    def proposal(self, closes: Decimal) -> Proposal:
        """The order as the rules look at it; `closes` units of it close a position."""
        r, price = self.request, None
        if r.type not in UNPRICED or self.last_price is not None:
            price = reserve_price(
                type=r.type, side=r.side, price=r.price, stop_price=r.stop_price, last_price=self.last_price,
                protection=r.market_protection,
            )  # fmt: skip
        return Proposal(
            side=r.side, type=r.type, product=r.product, quantity=r.quantity, price=r.price, stop_price=r.stop_price,
            disclosed_quantity=r.disclosed_quantity, time_in_force=r.time_in_force, is_amo=r.variety == Variety.AMO,
            value=None if price is None else price * r.quantity, closes=closes,
        )  # fmt: skip


@dataclass
class Intake:
    """A list of requests and what is around them; `count` keeps it true as orders are let through."""

    at: datetime
    lines: Sequence[Line]
    books: Books
    card: RateCard
    waiting: dict[tuple[int, str], int]
    open_values: dict[int, Decimal]
    projected: dict[tuple[int, int, str], Decimal]
    fingerprints: set[selectors.Fingerprint]
    references: set[tuple[int, str]]

    def closes(self, line: Line) -> Decimal:
        """Units of a position that the order would close."""
        if line.portfolio is None or line.instrument is None:
            return ZERO
        key = (line.portfolio.pk, line.instrument.pk, line.request.product)
        return min(self.books.closable(key, line.request.side), line.request.quantity)

    def around(self, line: Line) -> Surroundings:
        """What the rules compare the order with, as it stands now."""
        account, instrument, switch = line.account, line.instrument, line.switch
        projected = self.projected.get((account.pk, instrument.pk if instrument else 0, line.request.side), ZERO)
        return Surroundings(
            trade_date=ist_date(self.at),
            account_is_active=account.is_active,
            products=account.products,
            contract=_contract(instrument) if instrument else None,
            has_broker=line.route is not None,
            market_is_open=_is_open(line, self.at),
            mode=switch.mode if switch else "ACTIVE",
            mode_source=f"{switch.scope}: {switch.reason}" if switch else "",
            algo_named=bool(line.request.algo_id),
            algo_status=line.algo.status if line.algo else "",
            orders_waiting=self.waiting.get((account.pk, line.request.exchange), 0),
            open_value=self.open_values.get(account.pk, ZERO),
            projected_position=projected + line.signed,
            is_duplicate=line.fingerprint in self.fingerprints,
            last_price=line.last_price,
            limits=line.limits,
        )

    def count(self, line: Line, value: Decimal) -> None:
        """Make an order of `value` rupees that was let through count for the ones after it in the list."""
        account, instrument = line.account, line.instrument
        assert instrument is not None, "screening refuses what is not on file"
        lane, side = (account.pk, line.request.exchange), (account.pk, instrument.pk, line.request.side)
        self.waiting[lane] = self.waiting.get(lane, 0) + 1
        self.open_values[account.pk] = self.open_values.get(account.pk, ZERO) + value
        self.projected[side] = self.projected.get(side, ZERO) + line.signed
        self.fingerprints.add(line.fingerprint)


@dataclass(frozen=True, slots=True)
class _Registers:
    """Where what a request names is looked up; `limits` are those in force by (account, algorithm id)."""

    accounts: Mapping[str, "Account"]
    listings: Listings
    controls: Controls
    routes: Mapping[int, selectors.Route]
    limits: Mapping[tuple[int, str], Limits]
    portfolios: Sequence["CapitalAccount"]

    def line(self, request: OrderRequest) -> Line:
        """The request with what it names; of portfolios the one it asks for, or the account's first."""
        account = self.accounts[request.account]
        instrument = self.listings.instruments.get((request.exchange, request.symbol))
        algo = self.controls.algo(account.pk, request.algo_id)
        return Line(
            request=request,
            account=account,
            portfolio=next(
                (p for p in self.portfolios if p.account_id == account.pk and p.code == (request.portfolio or p.code)),
                None,
            ),
            instrument=instrument,
            algo=algo,
            switch=self.controls.mode_of(account.pk, algo),
            route=self.routes.get(account.pk),
            limits=self.limits[account.pk, request.algo_id],
            last_price=self.listings.last_prices.get(instrument.pk) if instrument else None,
        )


def gather(
    requests: Sequence[OrderRequest],
    accounts: Mapping[str, "Account"],
    listings: Listings,
    *,
    actor: Actor,
    at: datetime,
) -> Intake:
    """Read what is around `requests`, whose accounts are locked, and lock the portfolios and positions they touch."""
    ids = [account.pk for account in accounts.values()]
    named = [(accounts[r.account].pk, r.client_order_id) for r in requests if r.client_order_id]
    rows, switches, algos, routes, references, positions, portfolios = read_all(
        *control_reads(ids, {r.algo_id for r in requests}),
        selectors.routes_of(ids),
        selectors.references_used(named),
        *books_named(_books_touched(r, accounts, listings) for r in requests),
    )
    controls = Controls(rows, switches, algos)
    limits = {
        (pk, name): strictest(controls.limits_on(pk, controls.algo(pk, name)))
        for pk, name in {(accounts[r.account].pk, r.algo_id) for r in requests}
    }
    queues = [(route.broker_account_id, account_id) for account_id, route in routes.items()]
    waiting, open_values, held, working, fingerprints = read_all(*_usage(ids, queues, limits.values(), at))
    registers = _Registers(accounts, listings, controls, routes, limits, portfolios)
    return Intake(
        at=at,
        lines=[registers.line(request) for request in requests],
        books=Books.of(positions, portfolios, actor=actor, at=at),
        card=listings.card,
        waiting=waiting,
        open_values=open_values,
        projected=selectors.projected_positions(held, working),
        fingerprints=fingerprints,
        references=references,
    )


def _books_touched(r: OrderRequest, accounts: Mapping[str, "Account"], listings: Listings) -> tuple[int, str, int, str]:
    """The portfolio that pays and the position that may be closed, as `books_named` takes them."""
    instrument = listings.instruments.get((r.exchange, r.symbol))
    return accounts[r.account].pk, r.portfolio or "", instrument.pk if instrument else 0, r.product


def _usage(
    ids: Sequence[int], queues: Sequence[tuple[int, int]], limits: Iterable[Limits], at: datetime
) -> list[AnyRead]:
    """What the accounts have used of their limits; what no limit asks for is not read."""
    limits = list(limits)
    window = max((x.duplicate_window.value for x in limits if x.duplicate_window), default=ZERO)
    wanted: list[tuple[bool, AnyRead]] = [
        (any(may_be_waited_for(x) for x in limits), selectors.waiting_to_send(queues)),
        (any(x.open_value for x in limits), selectors.open_values(ids)),
        (any(x.position_quantity for x in limits), held_units(ids)),
        (any(x.position_quantity for x in limits), selectors.working_units(ids)),
        (window > 0, selectors.recent_fingerprints(ids, at - timedelta(seconds=int(window)))),
    ]
    return [one if is_asked else nothing_asked(one) for is_asked, one in wanted]


def _is_open(line: Line, at: datetime) -> bool:
    return line.route is not None and (line.route.always_open or is_open(Market(line.request.exchange), at))


def _contract(instrument: "Instrument") -> Contract:
    return Contract(
        is_tradable=instrument.is_tradable, tick_size=instrument.tick_size, lot_size=instrument.lot_size,
        freeze_quantity=instrument.freeze_quantity, lower_circuit=instrument.lower_circuit,
        upper_circuit=instrument.upper_circuit, expiry=instrument.expiry,
    )  # fmt: skip
