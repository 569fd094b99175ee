"""Which instrument of the house a line of a broker's dump speaks of, however that broker spells it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Protocol

import structlog

from ledger.models import BrokerInstrument, Instrument

#: (exchange, symbol)
Name = tuple[str, str]
#: What tells two contracts apart, whatever they are called.
Identity = tuple[object, ...]
LONGEST_SYMBOL = Instrument._meta.get_field("symbol").max_length or 0

logger = structlog.get_logger(__name__)


class Contract(Protocol):
    """What a line of a dump says of a contract."""

    @property
    def exchange(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def strike(self) -> Decimal | None: ...
    @property
    def expiry(self) -> date | None: ...
    @property
    def exchange_token(self) -> int: ...


def house_names(kind: str, listed: Mapping[Name, Contract]) -> dict[Name, Name]:
    """The house's name of each line of one dump, by the broker's name; a line that cannot be placed is left out.

    A name that the kind used before keeps its instrument. A new one is the instrument of the same name if it is the
    same contract, else one that is the same contract and that the kind does not list yet, else a new instrument. A
    contract that occurs twice is told apart by name alone.
    """
    known = _names_used(kind, {exchange for exchange, _ in listed})
    names = {name: known[name] for name in listed if name in known}
    strangers = [name for name in listed if name not in known]
    if not strangers:
        return names
    in_dump, ever = set(names.values()), set(known.values())
    twice = _occurring_twice(_identity(row) for row in listed.values())
    house = _House({exchange for exchange, _ in strangers})
    for name in strangers:
        row = listed[name]
        identity = _identity(row)
        found = name
        if name in house.contracts:
            if name in in_dump or not house.is_same_contract(name, row):
                logger.warning("instrument_name_taken", kind=kind, exchange=name[0], symbol=name[1])
                continue
        elif identity is not None and identity not in twice and (same := house.by_identity.get(identity)):
            found = name if same in ever else same
        if len(found[1]) <= LONGEST_SYMBOL:
            names[name] = found
            in_dump.add(found)
            ever.add(found)
    return names


def _names_used(kind: str, exchanges: set[str]) -> dict[Name, Name]:
    """The house's name by the broker's."""
    rows = BrokerInstrument.objects.filter(kind=kind, exchange__in=exchanges)
    return {
        (exchange, symbol): (exchange, house)
        for exchange, symbol, house in rows.values_list("exchange", "symbol", "instrument__symbol")
    }


class _House:
    """The instruments of some exchanges, by name and by what they are."""

    def __init__(self, exchanges: set[str]) -> None:
        self.contracts: dict[Name, Instrument] = {}
        of_identity: dict[Identity, Name] = {}
        identities = []
        fields = ("exchange", "symbol", "name", "type", "strike", "expiry", "token")
        for instrument in Instrument.objects.filter(exchange__in=exchanges).only(*fields).iterator():
            name = (instrument.exchange, instrument.symbol)
            self.contracts[name] = instrument
            if (identity := _identity_of(instrument, instrument.token)) is not None:
                of_identity[identity] = name
                identities.append(identity)
        twice = _occurring_twice(identities)
        self.by_identity = {identity: name for identity, name in of_identity.items() if identity not in twice}

    def is_same_contract(self, name: Name, row: Contract) -> bool:
        """Whether the instrument of this name expires when the row's does, at its strike; a share never expires."""
        ours = self.contracts[name]
        return (ours.expiry, ours.strike) == (row.expiry, row.strike) and (row.expiry is None or ours.type == row.type)


def _identity(row: Contract) -> Identity | None:
    return _identity_of(row, row.exchange_token)


def _identity_of(contract: "Contract | Instrument", token: int) -> Identity | None:
    """None for what says too little to be told apart."""
    if contract.expiry is not None:
        underlying = contract.name.upper()
        return (contract.exchange, contract.type, underlying, contract.expiry, contract.strike) if underlying else None
    return (contract.exchange, contract.type, token) if token else None


def _occurring_twice(identities: Iterable[Identity | None]) -> set[Identity | None]:
    return {identity for identity, count in Counter(identities).items() if count > 1}
