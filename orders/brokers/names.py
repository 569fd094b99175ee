"""The names of instruments on their way: the house's on our side of an adapter, the broker's own on its side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Protocol, TypeVar

from orders.brokers.base import Broker, Funds, HoldingRow, InstrumentName, InstrumentRow, PositionRow, Quote, Session
from orders.types import OrderSnapshot, PlaceInstruction, Terms, TradeSnapshot, Variety

Key = tuple[str, str]


class _Named(Protocol):
    @property
    def exchange(self) -> str: ...
    @property
    def symbol(self) -> str: ...


_Row = TypeVar("_Row", OrderSnapshot, TradeSnapshot, Quote, HoldingRow, PositionRow)


@dataclass(frozen=True, slots=True)
class Names:
    """How a kind of broker spells what it spells otherwise than the house; any other name is the same for both."""

    of_broker: dict[Key, InstrumentName]
    of_house: dict[Key, str]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str, str]]) -> "Names":
        """From rows of (exchange, the house's symbol, the broker's, its token)."""
        known = list(rows)
        return cls(
            {(exchange, ours): InstrumentName(exchange, theirs, token) for exchange, ours, theirs, token in known},
            {(exchange, theirs): ours for exchange, ours, theirs, _ in known},
        )

    def __bool__(self) -> bool:
        return bool(self.of_broker)

    def to_broker(self, name: _Named) -> InstrumentName:
        """What the broker calls an instrument."""
        return self.of_broker.get((name.exchange, name.symbol)) or InstrumentName(name.exchange, name.symbol)

    def to_house(self, row: _Row) -> _Row:
        """A broker's row under the house's name."""
        ours = self.of_house.get((row.exchange, row.symbol), row.symbol)
        return row if ours == row.symbol else replace(row, symbol=ours)


class Translated:
    """A broker that is told the house's names and tells them; an adapter's own are on the other side. See `Broker`."""

    def __init__(self, broker: Broker, names: Names) -> None:
        self._broker, self._names = broker, names

    def login_url(self, *, state: str) -> str:
        return self._broker.login_url(state=state)

    def open_session(self, login_token: str) -> Session:
        return self._broker.open_session(login_token)

    def close_session(self) -> None:
        self._broker.close_session()

    def place(self, instruction: PlaceInstruction) -> str:
        name = self._names.to_broker(instruction)
        return self._broker.place(replace(instruction, symbol=name.symbol, token=name.token))

    def modify(self, broker_order_id: str, *, variety: Variety, terms: Terms, market_protection: Decimal | None) -> str:
        return self._broker.modify(broker_order_id, variety=variety, terms=terms, market_protection=market_protection)

    def cancel(self, broker_order_id: str, *, variety: Variety) -> str:
        return self._broker.cancel(broker_order_id, variety=variety)

    def order_book(self) -> list[OrderSnapshot]:
        return [self._names.to_house(row) for row in self._broker.order_book()]

    def trade_book(self) -> list[TradeSnapshot]:
        return [self._names.to_house(row) for row in self._broker.trade_book()]

    def order(self, broker_order_id: str) -> OrderSnapshot:
        return self._names.to_house(self._broker.order(broker_order_id))

    def order_trades(self, broker_order_id: str) -> list[TradeSnapshot]:
        return [self._names.to_house(row) for row in self._broker.order_trades(broker_order_id)]

    def find_by_tag(self, tag: str) -> list[OrderSnapshot]:
        return [self._names.to_house(row) for row in self._broker.find_by_tag(tag)]

    def quotes(self, instruments: Sequence[InstrumentName]) -> list[Quote]:
        wanted = [self._names.to_broker(name) for name in instruments]
        return [self._names.to_house(row) for row in self._broker.quotes(wanted)]

    def instruments(self, exchanges: Iterable[str] = ()) -> list[InstrumentRow]:
        return self._broker.instruments(exchanges)  # the ledger learns the names from these

    def funds(self) -> Funds:
        return self._broker.funds()

    def positions(self) -> list[PositionRow]:
        return [self._names.to_house(row) for row in self._broker.positions()]

    def holdings(self) -> list[HoldingRow]:
        return [self._names.to_house(row) for row in self._broker.holdings()]
