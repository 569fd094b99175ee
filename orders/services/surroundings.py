"""Gathering what screening needs for a list of new orders, in a fixed number of statements.

Everything is read under the accounts' locks, so what an order is judged by still holds when it commits.
The orders of one list see each other: each accepted one counts for those after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from compliance.screening.facts import Contract, Limits, Proposal, Surroundings
from compliance.screening.limits import strictest
from compliance.selectors import Controls, algos_named, control_reads
from ledger.market.calendar import Market, is_open
from ledger.market.prices import get_prices
from ledger.rates import RateCard, rate_card, reserve_price
from ledger.selectors import held_units, instruments_named, portfolio_ids_of
from ledger.services.books import Books
from ledger.services.locking import books_locked
from oms.lib.actors import Actor
from oms.lib.clock import ist_date
from oms.lib.db import Read, read_all
from oms.lib.money import ZERO
from orders import selectors
from orders.types import OrderRequest, Variety

Instrument = Any
Account = Any


@dataclass
class Intake:
    """What is known around a list of requests; `accept` keeps it true as orders are let through."""

    at: datetime
    accounts: Mapping[str, Account]
    controls: Controls
    instruments: Mapping[tuple[str, str], Instrument]
    portfolios: Mapping[int, dict[str, int]]
    routes: Mapping[int, selectors.Route]
    last_prices: Mapping[int, Decimal]
    card: RateCard
    books: Books
    limits: dict[tuple[int, str], Limits]
    sent: dict[tuple[int, str], int]
    open_values: dict[int, Decimal]
    projected: dict[tuple[int, int, str], Decimal]
    fingerprints: set[selectors.Fingerprint]

    def instrument_of(self, request: OrderRequest) -> Instrument | None:
        return self.instruments.get((request.exchange, request.symbol))

    def portfolio_of(self, request: OrderRequest) -> int | None:
        """The portfolio asked for, or the account's first; None when it is not the account's."""
        owned = self.portfolios[self.accounts[request.account].pk]
        return owned.get(request.portfolio) if request.portfolio else next(iter(owned.values()), None)

    def last_price(self, instrument: Instrument | None) -> Decimal | None:
        """The last price in rupees if it is fresh, else None."""
        return None if instrument is None else self.last_prices.get(instrument.pk)

    def worst_price(self, request: OrderRequest, instrument: Instrument | None) -> Decimal | None:
        return reserve_price(
            type=request.type, side=request.side, price=request.price, stop_price=request.stop_price,
            last_price=self.last_price(instrument), protection=request.market_protection,
        )  # fmt: skip

    def closes(self, request: OrderRequest, instrument: Instrument, portfolio_id: int) -> Decimal:
        """Units of the position that the order would close."""
        free = self.books.closable((portfolio_id, instrument.pk, request.product), request.side)
        return min(free, request.quantity)

    def proposal(self, request: OrderRequest, closes: Decimal) -> Proposal:
        instrument = self.instrument_of(request)
        price = self.worst_price(request, instrument)
        if request.type in ("MARKET", "STOP") and self.last_price(instrument) is None:
            price = None
        return Proposal(
            side=request.side, type=request.type, product=request.product, quantity=request.quantity,
            price=request.price, stop_price=request.stop_price, disclosed_quantity=request.disclosed_quantity,
            time_in_force=request.time_in_force, is_amo=request.variety == Variety.AMO,
            value=None if price is None else price * request.quantity, closes=closes,
        )  # fmt: skip

    def surroundings(self, request: OrderRequest) -> Surroundings:
        account, instrument = self.accounts[request.account], self.instrument_of(request)
        algo = self.controls.algo(account.pk, request.algo_id)
        switch = self.controls.mode_of(account.pk, algo)
        route = self.routes.get(account.pk)
        projected = self.projected.get((account.pk, instrument.pk if instrument else 0, request.side), ZERO)
        return Surroundings(
            trade_date=ist_date(self.at),
            account_is_active=account.is_active,
            products=account.products,
            contract=instrument and _contract(instrument),
            has_broker=route is not None,
            market_is_open=route is not None and (route.always_open or is_open(Market(request.exchange), self.at)),
            mode=switch.mode if switch else "ACTIVE",
            mode_source=f"{switch.scope}: {switch.reason}" if switch else "",
            algo_named=bool(request.algo_id),
            algo_status=algo.status if algo else "",
            orders_this_second=self.sent.get((account.pk, instrument.segment if instrument else ""), 0),
            open_value=self.open_values.get(account.pk, ZERO),
            projected_position=projected + (request.quantity if request.side == "BUY" else -request.quantity),
            is_duplicate=fingerprint(account.pk, request) in self.fingerprints,
            last_price=self.last_price(instrument),
            limits=self.limits[account.pk, request.algo_id],
        )

    def count(self, request: OrderRequest, value: Decimal) -> None:
        """Make an order that was let through count for the ones after it in the list."""
        account, instrument = self.accounts[request.account], self.instrument_of(request)
        assert instrument is not None
        second, side = (account.pk, instrument.segment), (account.pk, instrument.pk, request.side)
        self.sent[second] = self.sent.get(second, 0) + 1
        self.open_values[account.pk] = self.open_values.get(account.pk, ZERO) + value
        signed = request.quantity if request.side == "BUY" else -request.quantity
        self.projected[side] = self.projected.get(side, ZERO) + signed
        self.fingerprints.add(fingerprint(account.pk, request))


def gather(requests: Sequence[OrderRequest], accounts: Mapping[str, Account], *, actor: Actor, at: datetime) -> Intake:
    """Read everything around `requests`, whose accounts are locked, and lock their books."""
    ids = [account.pk for account in accounts.values()]
    algos = algos_named(ids, {r.algo_id for r in requests})
    limit_rows, switches, instruments, portfolios, routes = read_all(
        *control_reads(ids, algos.values()),
        instruments_named((r.exchange, r.symbol) for r in requests),
        portfolio_ids_of(ids),
        selectors.routes_of(ids),
    )
    controls = Controls(limit_rows, switches, algos)
    limits = {
        (pk, name): strictest(controls.limits_on(pk, controls.algo(pk, name)))
        for pk, name in {(accounts[r.account].pk, r.algo_id) for r in requests}
    }
    position_keys = [
        (pk, instrument.pk, r.product)
        for r in requests
        if (instrument := instruments.get((r.exchange, r.symbol)))
        for pk in portfolios[accounts[r.account].pk].values()
    ]
    wanted = _usage(ids, limits.values(), at)
    positions, capital, *found = read_all(
        *books_locked([pk for owned in portfolios.values() for pk in owned.values()], position_keys),
        *(one for asked, one in wanted if asked),
    )
    answers = iter(found)
    sent, open_values, held, working, fingerprints = (
        next(answers) if asked else one.parse([]) for asked, one in wanted
    )
    return Intake(
        at=at,
        accounts=accounts,
        controls=controls,
        instruments=instruments,
        portfolios=portfolios,
        routes=routes,
        last_prices=fresh_prices([i.pk for i in instruments.values()], at),
        card=rate_card(ist_date(at)),
        books=Books.of(positions, capital, actor=actor, at=at),
        limits=limits,
        sent=sent,
        open_values=open_values,
        projected=selectors.projected_positions(held, working),
        fingerprints=fingerprints,
    )


def _usage(ids: Sequence[int], limits: Iterable[Limits], at: datetime) -> list[tuple[bool, Read[Any]]]:
    """What the accounts have used of their limits; what no limit asks for need not be read."""
    limits = list(limits)
    window = max((x.duplicate_window.value for x in limits if x.duplicate_window), default=ZERO)
    return [
        (any(x.orders_per_second for x in limits), selectors.sent_this_second(ids, at)),
        (any(x.open_value for x in limits), selectors.open_values(ids)),
        (any(x.position_quantity for x in limits), held_units(ids)),
        (any(x.position_quantity for x in limits), selectors.working_units(ids)),
        (window > 0, selectors.recent_fingerprints(ids, at - timedelta(seconds=int(window)))),
    ]


def fresh_prices(instrument_ids: Sequence[int], at: datetime) -> dict[int, Decimal]:
    """Last prices in rupees, without those older than settings.PRICE_FRESH_SECONDS."""
    oldest = at - timedelta(seconds=settings.PRICE_FRESH_SECONDS)
    return {pk: last.price for pk, last in get_prices(instrument_ids).items() if last.at >= oldest}


def fingerprint(account_id: int, request: OrderRequest) -> selectors.Fingerprint:
    """See `orders.selectors.recent_fingerprints`."""
    return (
        account_id, request.exchange, request.symbol, str(request.side), str(request.type), request.product,
        request.quantity, request.price, request.stop_price,
    )  # fmt: skip


def _contract(instrument: Instrument) -> Contract:
    return Contract(
        is_tradable=instrument.is_tradable, tick_size=instrument.tick_size, lot_size=instrument.lot_size,
        freeze_quantity=instrument.freeze_quantity, lower_circuit=instrument.lower_circuit,
        upper_circuit=instrument.upper_circuit, expiry=instrument.expiry,
    )  # fmt: skip
