"""What positions are worth at the last prices, which may be old: every value says how old its price is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ledger.market.prices import LastPrice, get_prices
from ledger.models import Position
from oms.lib.money import to_paisa


@dataclass(frozen=True, slots=True)
class Valuation:
    """Rupees; negative market value for a short position. `price_at` is when the price was made."""

    last_price: Decimal
    price_at: datetime
    market_value: Decimal
    unrealised_pnl: Decimal


def value_positions(positions: Sequence[Position], *, at: datetime) -> dict[int, Valuation]:
    """Valuations by position id, in one look at the prices; a position without a price is absent."""
    prices = get_prices({position.instrument_id for position in positions}, at=at)
    return {p.pk: _value(p, prices[p.instrument_id]) for p in positions if p.instrument_id in prices}


def _value(position: Position, last: LastPrice) -> Valuation:
    return Valuation(
        last.price,
        last.at,
        to_paisa(position.quantity * last.price),
        to_paisa(position.quantity * (last.price - position.average_price)),
    )
