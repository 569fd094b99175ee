"""Quotes and the instrument list.

Belongs here: Kite's routes and rows; prices are made in `market`.
"""

import csv
import io
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orders.brokers.paper.clock import stamp
from orders.brokers.paper.errors import InputError
from orders.brokers.paper.instrument_list import COLUMNS
from orders.brokers.paper.instruments import Instrument
from orders.brokers.paper.market import Quote, depth
from orders.brokers.paper.money import average, to_rupees
from orders.brokers.paper.services import Services

from .endpoint import Call, kite, services_of

MAX_QUOTES, MAX_PRICES = 500, 1000


def _asked(services: Services, request: Request, most: int) -> dict[str, Quote]:
    """The quotes asked for by `i=EXCHANGE:SYMBOL` or token; unknown ones are left out, as at Kite."""
    keys = request.query_params.getlist("i")
    if not keys:
        raise InputError("Missing or empty field `i`")
    if len(keys) > most:
        raise InputError(f"At most {most} instruments can be asked for at once.")
    catalogue = services.market.catalogue
    found: dict[str, Quote] = {}
    for key in keys:
        token = int(key) if key.isascii() and key.isdigit() else -1
        instrument = catalogue.by_key.get(key) or catalogue.by_token.get(token)
        if instrument:
            found[key] = services.market.quotes[instrument.instrument_token]
    return found


def _ltp(quote: Quote) -> dict[str, Any]:
    return {"instrument_token": quote.instrument.instrument_token, "last_price": to_rupees(quote.last)}


def _ohlc(quote: Quote) -> dict[str, Any]:
    return {
        **_ltp(quote),
        "ohlc": {
            "open": to_rupees(quote.open),
            "high": to_rupees(quote.high),
            "low": to_rupees(quote.low),
            "close": to_rupees(quote.close),
        },
    }


def _full(quote: Quote, now: str) -> dict[str, Any]:
    levels = depth(quote)
    return {
        **_ohlc(quote),
        "timestamp": now,
        "last_trade_time": quote.traded_at,
        "last_quantity": quote.last_quantity,
        "buy_quantity": sum(level["quantity"] for level in levels["buy"]),
        "sell_quantity": sum(level["quantity"] for level in levels["sell"]),
        "volume": quote.volume,
        "average_price": round(average(quote.turnover, quote.volume), 2),
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": to_rupees(quote.last - quote.close),
        "lower_circuit_limit": to_rupees(quote.lower),
        "upper_circuit_limit": to_rupees(quote.upper),
        "depth": levels,
    }


async def ltp(call: Call) -> dict[str, Any]:
    """GET /quote/ltp."""
    return {key: _ltp(q) for key, q in _asked(call.services, call.request, MAX_PRICES).items()}


async def ohlc(call: Call) -> dict[str, Any]:
    """GET /quote/ohlc."""
    return {key: _ohlc(q) for key, q in _asked(call.services, call.request, MAX_PRICES).items()}


async def quote(call: Call) -> dict[str, Any]:
    """GET /quote."""
    now = stamp(call.services.exchange.clock.now())
    return {key: _full(q, now) for key, q in _asked(call.services, call.request, MAX_QUOTES).items()}


async def instruments(request: Request) -> Response:
    """GET /instruments[/{exchange}]: CSV, without a session. Expired contracts are left out."""
    services = services_of(request)
    exchange = request.path_params.get("exchange")
    today = services.exchange.clock.today()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for instrument in services.market.catalogue.by_token.values():
        expired = instrument.expiry is not None and instrument.expiry < today
        if not expired and exchange in (None, instrument.exchange):
            writer.writerow(_row(instrument, services.market.quotes))
    return Response(text.getvalue(), media_type="text/csv")


def _row(instrument: Instrument, quotes: dict[int, Quote]) -> tuple[object, ...]:
    last = quotes[instrument.instrument_token].last
    return (
        instrument.instrument_token,
        instrument.exchange_token,
        instrument.tradingsymbol,
        instrument.name,
        Decimal(last) / 100,
        instrument.expiry or "",
        Decimal(instrument.strike) / 100,
        Decimal(instrument.tick_size) / 100,
        instrument.lot_size,
        instrument.instrument_type,
        instrument.segment,
        instrument.exchange,
    )


ROUTES = [
    Route("/quote", kite(quote, "quote"), methods=["GET"]),
    Route("/quote/ohlc", kite(ohlc, "quote"), methods=["GET"]),
    Route("/quote/ltp", kite(ltp, "quote"), methods=["GET"]),
    Route("/instruments", instruments, methods=["GET"]),
    Route("/instruments/{exchange}", instruments, methods=["GET"]),
]
