"""What trading costs and what it ties up, reckoned from the dated rate tables. Pure but for the look-up."""

import time
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from django.db.models import Q

from ledger.models import ChargeRate, Instrument, MarginRate
from oms.lib.money import ZERO, to_paisa

#: How wide a broker's automatic market protection is, is not published as one figure: reserve for this many percent.
RESERVED_FOR_AUTOMATIC_PROTECTION = Decimal(5)
#: A changed rate is noticed within this time by every process.
CACHE_SECONDS = 30


class NoRate(Exception):
    """No rate covers this kind of instrument, product and date: somebody must add one before it can trade."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """The rates valid on one date, by instrument type and product (and side)."""

    charges: dict[tuple[str, str], ChargeRate]
    margins: dict[tuple[str, str, str], MarginRate]

    def charge_rate(self, instrument: Instrument, product: str) -> ChargeRate:
        try:
            return self.charges[instrument.type, product]
        except KeyError:
            raise NoRate(f"no charges are on file for {instrument.type} under {product}") from None

    def unit_margin(self, instrument: Instrument, product: str, side: str, price: Decimal) -> Decimal:
        """Rupees that one opened unit at `price` ties up. Raises NoRate."""
        try:
            margin = self.margins[instrument.type, product, side]
        except KeyError:
            raise NoRate(f"no margin is on file for {side} {instrument.type} under {product}") from None
        base = instrument.strike if margin.basis == MarginRate.Basis.STRIKE else price
        return (base or ZERO) * margin.rate


def rate_card(on: date) -> RateCard:
    """The card valid on a date, as of at most half a minute ago."""
    return _rate_card(on, int(time.monotonic() // CACHE_SECONDS))


@lru_cache(maxsize=8)
def _rate_card(on: date, _half_minute: int) -> RateCard:
    valid = Q(valid_from__lte=on)
    charges = ChargeRate.objects.filter(valid, Q(valid_to=None) | Q(valid_to__gte=on)).order_by("valid_from")
    margins = MarginRate.objects.filter(valid).order_by("valid_from")
    # Later rows win: the newest rate that is already valid.
    return RateCard(
        charges={(r.instrument_type, r.product): r for r in charges},
        margins={(r.instrument_type, r.product, r.side): r for r in margins},
    )


def charges_on(rate: ChargeRate, side: str, turnover: Decimal) -> Decimal:
    """Brokerage, taxes and fees in rupees on one order's whole turnover, each part rounded to paise.

    GST falls on brokerage, exchange and SEBI fees; stamp duty on purchases only. Reckon an order's
    charges on its turnover so far and subtract what was charged, so that the per-order cap is exact.
    """
    brokerage = to_paisa(turnover * rate.brokerage)
    if rate.brokerage_cap is not None:
        brokerage = min(brokerage, rate.brokerage_cap)
    exchange_fee = to_paisa(turnover * rate.exchange_fee)
    sebi_fee = to_paisa(turnover * rate.sebi_fee)
    tax = to_paisa(turnover * (rate.stt_buy if side == "BUY" else rate.stt_sell))
    stamp = to_paisa(turnover * rate.stamp) if side == "BUY" else ZERO
    gst = to_paisa((brokerage + exchange_fee + sebi_fee) * rate.gst)
    return brokerage + exchange_fee + sebi_fee + tax + stamp + gst


def reserve_price(
    *,
    type: str,
    side: str,
    price: Decimal | None,
    stop_price: Decimal | None,
    last_price: Decimal | None,
    protection: Decimal | None,
) -> Decimal | None:
    """The worst price, in rupees, that an order may execute at; None when that cannot be known.

    LIMIT and STOP_LIMIT: their price; a sale may fetch more, so the last price if that is higher. MARKET and
    STOP: the last price (or a higher trigger) raised by the market protection.
    """
    if type in ("LIMIT", "STOP_LIMIT"):
        return max(price, last_price) if side == "SELL" and price is not None and last_price is not None else price
    known = [p for p in (last_price, stop_price) if p is not None]
    if not known:
        return None
    percent = RESERVED_FOR_AUTOMATIC_PROTECTION if protection is None or protection < 0 else protection
    return max(known) * (1 + percent / 100)


def capital_needed(
    card: RateCard,
    instrument: Instrument,
    *,
    product: str,
    side: str,
    quantity: Decimal,
    opens: Decimal,
    price: Decimal,
) -> Decimal:
    """Rupees to reserve for an order: margin on the units that open, and charges on the whole. Raises NoRate."""
    if not opens:
        return ZERO  # a closing order frees capital, which pays its charges
    margin = to_paisa(card.unit_margin(instrument, product, side, price) * opens)
    return margin + charges_on(card.charge_rate(instrument, product), side, quantity * price)
