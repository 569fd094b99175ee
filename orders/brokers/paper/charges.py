"""The rate card: brokerage, taxes and fees of an executed quantity.

Belongs here: rates and their sum. Rates follow the published card of an Indian discount broker in
2026 and are for practice: they are not a tax reference. Booking them is done by `account`.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from .instruments import Instrument

FLAT = Decimal(20)
GST = Decimal("0.18")
SEBI = Decimal("0.000001")
STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Rates:
    """Fractions of the turnover; `brokerage` None means the flat fee whatever the turnover."""

    brokerage: Decimal | None
    tax_buy: Decimal
    tax_sell: Decimal
    exchange: Decimal
    stamp_buy: Decimal


CARD = {
    "delivery": Rates(Decimal(0), Decimal("0.001"), Decimal("0.001"), Decimal("0.0000297"), Decimal("0.00015")),
    "intraday": Rates(Decimal("0.0003"), Decimal(0), Decimal("0.00025"), Decimal("0.0000297"), Decimal("0.00003")),
    "future": Rates(Decimal("0.0003"), Decimal(0), Decimal("0.0005"), Decimal("0.0000173"), Decimal("0.00002")),
    "option": Rates(None, Decimal(0), Decimal("0.0015"), Decimal("0.0003503"), Decimal("0.00003")),
}


@dataclass(frozen=True, slots=True)
class Charges:
    """Rupees, to four decimals. `total` is the exact sum of the parts."""

    transaction_tax: Decimal
    exchange_turnover_charge: Decimal
    sebi_turnover_charge: Decimal
    brokerage: Decimal
    stamp_duty: Decimal
    gst: Decimal

    @property
    def total(self) -> Decimal:
        """The sum of the parts."""
        return (
            self.transaction_tax
            + self.exchange_turnover_charge
            + self.sebi_turnover_charge
            + self.brokerage
            + self.stamp_duty
            + self.gst
        )

    @property
    def paise(self) -> int:
        """The total as booked, to the nearest paisa."""
        return int((self.total * 100).to_integral_value(ROUND_HALF_UP))

    def row(self) -> dict[str, Any]:
        """Kite's `charges` object."""
        gst = float(self.gst)
        return {
            "transaction_tax": float(self.transaction_tax),
            "transaction_tax_type": "stt",
            "exchange_turnover_charge": float(self.exchange_turnover_charge),
            "sebi_turnover_charge": float(self.sebi_turnover_charge),
            "brokerage": float(self.brokerage),
            "stamp_duty": float(self.stamp_duty),
            "gst": {"igst": gst, "cgst": 0, "sgst": 0, "total": gst},
            "total": float(self.total),
        }


def _kind(instrument: Instrument, product: str) -> str:
    if instrument.is_equity:
        return "delivery" if product == "CNC" else "intraday"
    return "option" if instrument.is_option else "future"


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(STEP, ROUND_HALF_UP)


def charges_of(instrument: Instrument, product: str, side: str, turnover: int) -> Charges:
    """Charges of one executed order whose fills are worth `turnover` paise."""
    value = Decimal(turnover) / 100
    rates = CARD[_kind(instrument, product)]
    brokerage = FLAT if rates.brokerage is None else min(FLAT, value * rates.brokerage)
    exchange, sebi = _round(value * rates.exchange), _round(value * SEBI)
    brokerage = _round(brokerage if value else Decimal(0))
    return Charges(
        transaction_tax=_round(value * (rates.tax_buy if side == "BUY" else rates.tax_sell)),
        exchange_turnover_charge=exchange,
        sebi_turnover_charge=sebi,
        brokerage=brokerage,
        stamp_duty=_round(value * rates.stamp_buy) if side == "BUY" else Decimal(0),
        gst=_round((brokerage + exchange + sebi) * GST),
    )
