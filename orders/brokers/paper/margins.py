"""How much money an order or a position holds back: the margin table.

Belongs here: the rates and the requirement they make. Who has how much is in `account`. Rates are
flat stand-ins for SPAN and exposure, which no broker publishes as a formula.
"""

from dataclasses import dataclass

from .instruments import Instrument

INTRADAY_PERCENT = 20
SPAN_PERCENT = 12
EXPOSURE_PERCENT = 3


@dataclass(frozen=True, slots=True)
class Margin:
    """Paise by kind. `var` is the cash market's requirement."""

    span: int = 0
    exposure: int = 0
    option_premium: int = 0
    var: int = 0

    @property
    def total(self) -> int:
        """What is held back."""
        return self.span + self.exposure + self.option_premium + self.var


def _percent(value: int, percent: int) -> int:
    return -(-value * percent // 100)


def is_cash_settled(instrument: Instrument, product: str) -> bool:
    """True when a trade pays its whole value: delivery, and option premiums."""
    return product == "CNC" or instrument.is_option


def order_margin(instrument: Instrument, product: str, is_buy: bool, quantity: int, opening: int, price: int) -> Margin:
    """What an unfilled order of `quantity` units holds back; `opening` of them open exposure.

    Delivery and option buys pay in full; intraday 20 %; futures and written options 15 %.
    """
    if product == "CNC":
        return Margin(var=quantity * price if is_buy else 0)
    if instrument.is_option and is_buy:
        return Margin(option_premium=quantity * price)
    if instrument.is_equity:
        return Margin(var=_percent(opening * price, INTRADAY_PERCENT))
    notional = opening * (instrument.strike if instrument.is_option else price)
    return Margin(span=_percent(notional, SPAN_PERCENT), exposure=_percent(notional, EXPOSURE_PERCENT))


def position_margin(instrument: Instrument, product: str, quantity: int, basis: int) -> Margin:
    """What an open position of signed `quantity`, opened for `basis` paise, holds back."""
    if not quantity or product == "CNC" or (instrument.is_option and quantity > 0):
        return Margin()
    if instrument.is_equity:
        return Margin(var=_percent(basis, INTRADAY_PERCENT))
    notional = -quantity * instrument.strike if instrument.is_option else basis
    return Margin(span=_percent(notional, SPAN_PERCENT), exposure=_percent(notional, EXPOSURE_PERCENT))
