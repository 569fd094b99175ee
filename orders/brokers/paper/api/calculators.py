"""What an order would need and cost: POST /margins/orders and POST /charges/orders.

Belongs here: Kite's routes, which take a JSON array. The table and the rate card are elsewhere.
"""

from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from orders.brokers.paper import checks, wire
from orders.brokers.paper.charges import charges_of
from orders.brokers.paper.errors import InputError
from orders.brokers.paper.instruments import Instrument
from orders.brokers.paper.margins import order_margin
from orders.brokers.paper.money import to_rupees
from orders.brokers.paper.services import Services

from .endpoint import Call, kite


async def margins(call: Call) -> list[dict[str, Any]]:
    """POST /margins/orders: each order for itself, positions left out of account."""
    return [_margin(call.services, item) for item in await _items(call.request)]


async def charges(call: Call) -> list[dict[str, Any]]:
    """POST /charges/orders: the charges of executed orders, as the rate card has them."""
    return [_charges(call.services, item) for item in await _items(call.request)]


async def _items(request: Request) -> list[dict[str, Any]]:
    body = await wire.read_json(request)
    if not isinstance(body, list) or not body or not all(isinstance(i, dict) for i in body):
        raise InputError("The body should be a JSON array of orders.")
    return body


def _margin(services: Services, item: dict[str, Any]) -> dict[str, Any]:
    instrument, side, product, quantity = _read(services, item)
    last = services.market.quotes[instrument.instrument_token].last
    price = _number(item, "price", 0) or last
    margin = order_margin(instrument, product, side == "BUY", quantity, quantity, price)
    cost = charges_of(instrument, product, side, quantity * price)
    return {
        "type": "equity",
        "tradingsymbol": instrument.tradingsymbol,
        "exchange": instrument.exchange,
        "span": to_rupees(margin.span),
        "exposure": to_rupees(margin.exposure),
        "option_premium": to_rupees(margin.option_premium),
        "additional": 0,
        "bo": 0,
        "cash": 0,
        "var": to_rupees(margin.var),
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": 5 if instrument.is_equity and product == "MIS" else 1,
        "charges": cost.row(),
        "total": to_rupees(margin.total),
    }


def _charges(services: Services, item: dict[str, Any]) -> dict[str, Any]:
    instrument, side, product, quantity = _read(services, item)
    price = _number(item, "average_price", None)
    if not price:
        raise InputError("Invalid `average_price`. It should be greater than zero.")
    return {
        "transaction_type": side,
        "tradingsymbol": instrument.tradingsymbol,
        "exchange": instrument.exchange,
        "variety": item.get("variety", "regular"),
        "product": product,
        "order_type": item.get("order_type", "LIMIT"),
        "quantity": quantity,
        "price": to_rupees(price),
        "charges": charges_of(instrument, product, side, quantity * price).row(),
    }


def _read(services: Services, item: dict[str, Any]) -> tuple[Instrument, str, str, int]:
    instrument = services.market.catalogue.find(
        str(item.get("exchange")), str(item.get("tradingsymbol")), services.exchange.clock.today()
    )
    if instrument is None or instrument.is_index:
        raise InputError(checks.UNKNOWN_INSTRUMENT)
    side, product = item.get("transaction_type"), str(item.get("product"))
    if side not in ("BUY", "SELL"):
        raise InputError("Invalid `transaction_type`. It should be one of BUY, SELL.")
    checks.check_product(instrument, product)
    quantity = item.get("quantity")
    if not isinstance(quantity, int | float) or quantity <= 0 or quantity != int(quantity):
        raise InputError("Invalid `quantity`. It should be a positive whole number.")
    return instrument, side, product, int(quantity)


def _number(item: dict[str, Any], name: str, default: int | None) -> int:
    """A price in whole paise, rounded: averages may be finer."""
    try:
        value = Decimal(str(item.get(name, default) or 0))
    except InvalidOperation as error:
        raise InputError(f"Invalid `{name}`. It should be a number.") from error
    if not value.is_finite() or value < 0:
        raise InputError(f"Invalid `{name}`. It should be a number from zero.")
    return int((value * 100).to_integral_value())


ROUTES = [
    Route("/margins/orders", kite(margins), methods=["POST"]),
    Route("/charges/orders", kite(charges), methods=["POST"]),
]
