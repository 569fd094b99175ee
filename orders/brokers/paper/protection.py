"""Market protection: how far from the market a protected order may trade.

Belongs here: the percentage and the limit price it makes. Whether protection is required is a
rule of `checks`.
"""

from decimal import Decimal

from .errors import InputError
from .instruments import Instrument

# Price below (paise): percent. The broker's published guideline for automatic protection.
CASH_AND_FUTURES = ((100_00, Decimal(2)), (500_00, Decimal(1)), (None, Decimal("0.5")))
OPTIONS = ((10_00, Decimal(5)), (100_00, Decimal(3)), (500_00, Decimal(2)), (None, Decimal(1)))

MISSING = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)


def percentage(instrument: Instrument, asked: Decimal, price: int) -> Decimal:
    """The percentage in force: `asked`, or by the table for -1. Raises InputError otherwise."""
    if asked == -1:
        table = OPTIONS if instrument.is_option else CASH_AND_FUTURES
        return next(percent for below, percent in table if below is None or price < below)
    if asked == 0:
        raise InputError(MISSING)
    if not 0 < asked <= 100:
        raise InputError("Invalid `market_protection`. It should be -1, or above 0 and up to 100.")
    return asked


def protected_price(instrument: Instrument, is_buy: bool, percent: Decimal, price: int, band: tuple[int, int]) -> int:
    """The limit `percent` away from `price` on the worse side, on the tick, within the band."""
    tick = max(1, instrument.tick_size)
    move = int(price * percent / 100)
    limit = (price + move) // tick * tick if is_buy else -(-(price - move) // tick) * tick
    return max(band[0], min(band[1], limit))


def tags(percent: Decimal) -> list[str]:
    """The tags Kite puts on the row of a protected order."""
    return ["mktp", f"mktp:{percent:.2f}"]
