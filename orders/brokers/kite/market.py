"""Kite's quotes, instrument dump, funds and portfolio read into our types. Pure; rows that do not parse are named."""

import csv
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

from orders.brokers.base import Funds, HoldingRow, InstrumentRow, PositionRow, Quote, UnknownOutcome
from orders.brokers.kite.wire import UNREADABLE, finite, ist_instant

#: Kite lists an index as an equity of this segment.
INDICES = "INDICES"


def quotes_of(data: Mapping[str, Any]) -> list[Quote]:
    """The quotes in the answer to `GET /quote`, keyed `EXCHANGE:SYMBOL`. Raises UnknownOutcome, naming the key."""
    if not isinstance(data, Mapping):
        raise UnknownOutcome("The broker's quotes are not keyed by instrument")
    quotes = []
    for key, row in data.items():
        try:
            quotes.append(_quote(key, row))
        except UNREADABLE as error:
            raise UnknownOutcome(f"The broker's quote of {key} is not readable: {error!r}") from None
    return quotes


def _quote(key: str, row: Mapping[str, Any]) -> Quote:
    exchange, _, symbol = key.partition(":")
    moment = row.get("last_trade_time") or row.get("timestamp")
    return Quote(
        exchange=exchange,
        symbol=symbol,
        last_price=finite(row["last_price"]),
        lower_circuit=_positive(row.get("lower_circuit_limit")),
        upper_circuit=_positive(row.get("upper_circuit_limit")),
        previous_close=_positive((row.get("ohlc") or {}).get("close")),
        at=ist_instant(moment) if moment else None,
    )


def instruments_of(text: str, exchanges: Iterable[str] = ()) -> list[InstrumentRow]:
    """The rows of the dump in CSV, of all exchanges or of those named. Raises UnknownOutcome, naming the line."""
    wanted = frozenset(exchanges)
    reader = csv.DictReader(StringIO(text))
    rows = []
    for row in reader:
        if wanted and row.get("exchange") not in wanted:
            continue
        try:
            rows.append(_instrument(row))
        except UNREADABLE as error:
            raise UnknownOutcome(f"Line {reader.line_num} of the instrument dump is not readable: {error!r}") from None
    return rows


def _instrument(row: Mapping[str, str]) -> InstrumentRow:
    expiry = row["expiry"]
    return InstrumentRow(
        token=str(int(row["instrument_token"])),
        exchange=row["exchange"],
        symbol=row["tradingsymbol"],
        name=row["name"],
        type="INDEX" if row["segment"] == INDICES else row["instrument_type"],
        segment=row["segment"],
        tick_size=finite(row["tick_size"] or 0),
        lot_size=int(row["lot_size"] or 0),
        strike=_positive(finite(row["strike"] or 0)),
        expiry=date.fromisoformat(expiry) if expiry else None,
        last_price=finite(row["last_price"] or 0),
        exchange_token=int(row["exchange_token"] or 0),
    )


def funds_of(data: Mapping[str, Any]) -> Funds:
    """The equity segment of `GET /user/margins/equity`. Raises UnknownOutcome when figures are missing."""
    try:
        return Funds(
            net=finite(data["net"]),
            cash=finite(data["available"]["cash"]),
            utilised=finite(data["utilised"]["debits"]),
            raw=dict(data),
        )
    except UNREADABLE as error:
        raise UnknownOutcome(f"The broker's margins are not readable: {error!r}") from None


def holdings_of(rows: Any) -> list[HoldingRow]:
    """The answer to `GET /portfolio/holdings`. Raises UnknownOutcome when a row is not readable."""
    try:
        return [
            HoldingRow(
                exchange=row["exchange"],
                symbol=row["tradingsymbol"],
                quantity=finite(row["quantity"]),
                unsettled=finite(row["t1_quantity"]),
                average_price=finite(row["average_price"]),
                raw=row,
            )
            for row in rows
        ]
    except UNREADABLE as error:
        raise UnknownOutcome(f"The broker's holdings are not readable: {error!r}") from None


def positions_of(data: Any) -> list[PositionRow]:
    """The net rows of `GET /portfolio/positions`. Raises UnknownOutcome when a row is not readable."""
    try:
        return [
            PositionRow(
                exchange=row["exchange"],
                symbol=row["tradingsymbol"],
                product=row["product"],
                quantity=finite(row["quantity"]),
                average_price=finite(row["average_price"]),
                raw=row,
            )
            for row in data["net"]
        ]
    except UNREADABLE as error:
        raise UnknownOutcome(f"The broker's positions are not readable: {error!r}") from None


def _positive(value: Any) -> Decimal | None:
    """A price, where zero and absent both mean that there is none."""
    number = finite(value or 0)
    return number if number > 0 else None
