"""Instruments kept like the brokers' dumps and quotes say they are: contracts, bands, last closes.

What a broker cannot tell (freeze quantities) is left alone. Prices go to `ledger.market.prices`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from ledger.market import prices
from ledger.market.hours import HOURS
from ledger.models import BrokerInstrument, Instrument
from ledger.services.instrument_names import Contract, house_names
from oms.lib.db import update_rows

BATCH = 2000
#: One part in so many of the quotes asked for is for what nobody waits for.
TURN_SHARE = 5
DUMPED = (
    "name", "type", "segment", "token", "tick_size", "lot_size", "strike", "expiry", "is_tradable", "updated_at",
)  # fmt: skip
LISTED = ("symbol", "token", "is_listed", "listed_at")
QUOTED = ("lower_circuit", "upper_circuit", "previous_close", "updated_at")
#: Characters that columns hold, for those that are taken over whole.
_TEXTS = ((Instrument, ("type", "segment")), (BrokerInstrument, ("symbol", "token")))
_ROOM = {
    field.name: field.max_length or 0
    for model, names in _TEXTS
    for field in model._meta.concrete_fields
    if field.name in names
}

logger = structlog.get_logger(__name__)


class DumpedInstrument(Contract, Protocol):
    """One line of a broker's dump (`orders.brokers.base.InstrumentRow`)."""

    @property
    def token(self) -> str: ...
    @property
    def segment(self) -> str: ...
    @property
    def tick_size(self) -> Decimal: ...
    @property
    def lot_size(self) -> int: ...


class QuotedInstrument(Protocol):
    """One quote (`orders.brokers.base.Quote`)."""

    @property
    def exchange(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def last_price(self) -> Decimal: ...
    @property
    def lower_circuit(self) -> Decimal | None: ...
    @property
    def upper_circuit(self) -> Decimal | None: ...
    @property
    def previous_close(self) -> Decimal | None: ...
    @property
    def at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class SyncResult:
    """How many instruments were seen, and how many are no longer listed."""

    listed: int
    retired: int


@transaction.atomic(durable=True)
def sync_instruments(kind: str, rows: Sequence[DumpedInstrument], *, at: datetime) -> SyncResult:
    """Make the instruments of every exchange that occurs in `rows` what the dump of a kind of broker says.

    Rows of exchanges whose hours we do not know are passed over, and so are rows that do not fit: one odd
    row is no reason to have no instruments. What no kind of broker lists any longer (expired, delisted) stays,
    since orders refer to it, but is no longer tradable. Raises nothing for an empty dump: it retires nothing
    either.
    """
    listed = {(row.exchange, row.symbol): row for row in rows if row.exchange in HOURS and _fits(row)}
    names = house_names(kind, listed)
    if len(names) < len(rows):
        logger.info("instruments_passed_over", count=len(rows) - len(names), of=len(rows))
    fresh = [_instrument(listed[name], symbol, at) for name, (_, symbol) in names.items()]
    Instrument.objects.bulk_create(
        fresh, batch_size=BATCH, update_conflicts=True, unique_fields=["exchange", "symbol"], update_fields=DUMPED
    )
    exchanges = {exchange for exchange, _ in names}
    before = _listed_before(kind, exchanges)
    BrokerInstrument.objects.bulk_create(
        [
            _broker_name(kind, listed[name], instrument, at)
            for name, instrument in zip(names, fresh, strict=True)
            if name not in before or before[name].token != listed[name].token
        ],
        batch_size=BATCH, update_conflicts=True, unique_fields=["kind", "instrument"], update_fields=LISTED,
    )  # fmt: skip
    # Not what is listed still, under another name.
    still = {instrument.pk for instrument in fresh}
    gone = [row.pk for row in before.values() if row.instrument_id not in still]
    BrokerInstrument.objects.filter(pk__in=gone).update(is_listed=False)
    return SyncResult(listed=len(fresh), retired=_retire(exchanges, at))


def _listed_before(kind: str, exchanges: set[str]) -> dict[tuple[str, str], BrokerInstrument]:
    """What a kind of broker listed so far, by its own names."""
    rows = BrokerInstrument.objects.filter(kind=kind, exchange__in=exchanges, is_listed=True)
    return {(row.exchange, row.symbol): row for row in rows.only("exchange", "symbol", "token", "instrument_id")}


def _retire(exchanges: set[str], at: datetime) -> int:
    """Stop trading in what no kind of broker lists; returns how many."""
    listed = BrokerInstrument.objects.filter(is_listed=True, instrument=OuterRef("pk"))
    gone = Instrument.objects.filter(~Exists(listed), exchange__in=exchanges, is_tradable=True)
    return gone.update(is_tradable=False, updated_at=at)


def _fits(row: DumpedInstrument) -> bool:
    return all(len(getattr(row, name)) <= room for name, room in _ROOM.items())


def _instrument(row: DumpedInstrument, symbol: str, at: datetime) -> Instrument:
    is_index = row.type == Instrument.Type.INDEX
    fields: dict[str, object] = {}
    # The dump gives zero steps to what cannot be traded; the columns want something positive.
    if row.tick_size > 0:
        fields["tick_size"] = row.tick_size
    return Instrument(
        exchange=row.exchange,
        symbol=symbol,
        name=row.name[:120],
        type=row.type,
        segment=row.segment,
        token=row.exchange_token,
        lot_size=max(row.lot_size, 1),
        strike=row.strike,
        expiry=row.expiry,
        is_tradable=not is_index and row.tick_size > 0 and row.lot_size > 0,
        updated_at=at,
        **fields,
    )


def _broker_name(kind: str, row: DumpedInstrument, instrument: Instrument, at: datetime) -> BrokerInstrument:
    return BrokerInstrument(
        instrument=instrument, kind=kind, exchange=row.exchange, symbol=row.symbol, token=row.token, listed_at=at
    )


def apply_quotes(quotes: Iterable[QuotedInstrument], *, at: datetime) -> int:
    """Take over price bands and last closes where they changed, and all last prices. Returns how many changed.

    Quotes of instruments that we do not have are passed over: the next dump brings them.
    """
    by_name = {(quote.exchange, quote.symbol): quote for quote in quotes}
    known = _named(by_name)
    changed = [instrument for instrument in known if _take_over(instrument, by_name[_name(instrument)], at)]
    if changed:
        with transaction.atomic():
            update_rows(Instrument, QUOTED, sorted(changed, key=lambda instrument: instrument.pk))
    prices.set_prices(
        {
            # When it was quoted, not when it last traded: a quiet stock is no stale price.
            instrument.pk: (quote.last_price, at)
            for instrument in known
            if (quote := by_name[_name(instrument)]).last_price > 0
        }
    )
    return len(changed)


def _take_over(instrument: Instrument, quote: QuotedInstrument, at: datetime) -> bool:
    said = (quote.lower_circuit, quote.upper_circuit, quote.previous_close)
    if said == (instrument.lower_circuit, instrument.upper_circuit, instrument.previous_close):
        return False
    instrument.lower_circuit, instrument.upper_circuit, instrument.previous_close = said
    instrument.updated_at = at
    return True


def list_quotable(first: Iterable[int] = (), *, limit: int = 500) -> list[tuple[str, str]]:
    """(exchange, symbol) of up to `limit` instruments to ask quotes for now.

    Those with the ids `first` (somebody has an order or a position in them), then those that somebody asked
    for in vain, then others in turn: each call goes on where the last one ended, and a part of each is for
    these, so that every instrument has its band and price some time.
    """
    room = limit - max(limit // TURN_SHARE, 1)
    chosen = _quotable(Instrument.objects.filter(pk__in=list(first)), room)
    wanted = Instrument.objects.filter(Q(is_tradable=True) | Q(type=Instrument.Type.INDEX))
    wanted = wanted.filter(pk__in=prices.most_wanted(room)).exclude(pk__in=chosen)
    chosen |= _quotable(wanted, room - len(chosen))
    return list((chosen | _next_in_turn(chosen, limit - len(chosen))).values())


def _next_in_turn(chosen: Iterable[int], count: int) -> dict[int, tuple[str, str]]:
    others = Instrument.objects.filter(is_tradable=True).exclude(pk__in=list(chosen))
    last = prices.last_in_turn()
    turn = _quotable(others.filter(pk__gt=last), count)
    turn |= _quotable(others.filter(pk__lte=last), count - len(turn))
    if turn:
        prices.set_last_in_turn(list(turn)[-1])
    return turn


def _quotable(instruments: "QuerySet[Instrument]", count: int) -> dict[int, tuple[str, str]]:
    rows = instruments.order_by("pk").values_list("pk", "exchange", "symbol")[: max(count, 0)]
    return {pk: (exchange, symbol) for pk, exchange, symbol in rows}


def _named(names: Iterable[tuple[str, str]]) -> list[Instrument]:
    wanted = set(names)
    symbols = {symbol for _, symbol in wanted}
    found = Instrument.objects.filter(symbol__in=symbols).only("exchange", "symbol", *QUOTED)
    return [instrument for instrument in found if _name(instrument) in wanted]


def _name(instrument: Instrument) -> tuple[str, str]:
    return instrument.exchange, instrument.symbol
