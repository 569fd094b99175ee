"""Amounts inside the exchange: whole paise, so that cash and holdings always add up.

Belongs here: turning text into paise and paise into the numbers of the wire. What an amount is
for belongs elsewhere. No price of NSE or NFO is finer than one paisa.
"""

from decimal import Decimal, InvalidOperation

PAISE = Decimal(100)


def to_paise(rupees: Decimal) -> int:
    """`rupees` as whole paise. Raises ValueError when there is a fraction of a paisa."""
    amount = rupees * PAISE
    if not amount.is_finite() or amount != int(amount):
        raise ValueError(f"{rupees} is not a whole number of paise")
    return int(amount)


def read_rupees(value: object) -> int:
    """A JSON number or text of rupees as whole paise. Raises ValueError."""
    try:
        return to_paise(Decimal(str(value)))
    except InvalidOperation as error:
        raise ValueError(f"{value} is not an amount in rupees") from error


def to_rupees(paise: int) -> float:
    """`paise` as the JSON number Kite would send."""
    return paise / 100


def average(value: int, quantity: int) -> float:
    """Rupees per unit of a `value` in paise; 0 for no units."""
    return value / quantity / 100 if quantity else 0
