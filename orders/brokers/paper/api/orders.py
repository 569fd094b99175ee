"""Orders and trades: place, modify, cancel, the book, histories.

Belongs here: Kite's routes and answers. Rules and effects are in `exchange`.
"""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from orders.brokers.paper import wire
from orders.brokers.paper.checks import MAX_SLICES
from orders.brokers.paper.errors import InputError, KiteError, OrderError
from orders.brokers.paper.requests import OrderRequest, read_modification, read_order, read_variety
from orders.brokers.paper.services import Services
from orders.brokers.paper.session import Session

from .endpoint import Call, kite

NOT_FOUND = "Couldn't find that `order_id`."


async def place(call: Call) -> dict[str, Any]:
    """POST /orders/{variety}. A request refused for its content counts against the limits too."""
    form = await wire.read_form(call.request)
    day = call.services.exchange.clock.today().isoformat()
    call.services.limits.count_order(call.session.user_id, day)
    order = read_order(call.request.path_params["variety"], form)
    freeze = _freeze_quantity(call.services, order)
    if order.autoslice and order.quantity > freeze:
        return _slice(call.services, call.session, order, freeze)
    order_id = call.services.exchange.place(call.session, order)
    if order.variety == "iceberg":
        call.services.limits.add_to_day(call.session.user_id, order.iceberg_legs - 1)
    return {"order_id": order_id}


def _freeze_quantity(services: Services, order: OrderRequest) -> int:
    """The most one slice may hold, in whole lots."""
    instrument = services.market.catalogue.by_key.get(f"{order.exchange}:{order.tradingsymbol}")
    if instrument is None:
        return order.quantity
    lot = max(1, instrument.lot_size)
    return max(lot, instrument.freeze_quantity // lot * lot)


def _slice(services: Services, session: Session, order: OrderRequest, freeze: int) -> dict[str, Any]:
    """Children of at most the freeze quantity; one that is refused does not stop the others."""
    slices = -(-order.quantity // freeze)
    if slices > MAX_SLICES:
        raise InputError(f"Autoslice makes at most {MAX_SLICES} orders; {slices} would be needed.")
    services.limits.add_to_day(session.user_id, slices - 1)
    parent = services.exchange.identifiers.order_id()
    children: list[dict[str, Any]] = []
    for number in range(slices):
        part = replace(order, quantity=min(freeze, order.quantity - number * freeze))
        try:
            tags = ("autoslice", f"autoslice:{parent}")
            children.append({"order_id": services.exchange.place(session, part, tags)})
        except KiteError as error:
            children.append(
                {"error": {"code": error.code, "error_type": error.error_type, "message": error.message, "data": None}}
            )
    return {"order_id": parent, "children": children}


async def modify(call: Call) -> dict[str, str]:
    """PUT /orders/{variety}/{order_id}."""
    change = read_modification(await wire.read_form(call.request))
    order_id = call.request.path_params["order_id"]
    call.services.exchange.max_modifications = call.services.limits.modifications
    call.services.exchange.modify(call.session, read_variety(call.request.path_params["variety"]), order_id, change)
    return {"order_id": order_id}


async def cancel(call: Call) -> dict[str, str]:
    """DELETE /orders/{variety}/{order_id}."""
    order_id = call.request.path_params["order_id"]
    call.services.exchange.cancel(call.session, read_variety(call.request.path_params["variety"]), order_id)
    return {"order_id": order_id}


async def book(call: Call) -> bytes:
    """GET /orders: the day's orders, oldest first; an old picture while a fault says so."""
    return call.services.stale.rows(call.session.user_id) or call.services.book.rows(call.session.user_id)


async def history(call: Call) -> bytes:
    """GET /orders/{order_id}: all its statuses, oldest first."""
    return _array(call.services.store.history(_own(call.services, call.session, call.request)))


async def order_trades(call: Call) -> bytes:
    """GET /orders/{order_id}/trades."""
    return _array(call.services.store.order_trades(_own(call.services, call.session, call.request)))


async def trades(call: Call) -> bytes:
    """GET /trades: the day's trades, oldest first."""
    day = call.services.exchange.clock.today().isoformat()
    return _array(call.services.store.trades(call.session.user_id, day))


def _own(services: Services, session: Session, request: Request) -> str:
    order_id: str = request.path_params["order_id"]
    if services.store.owner(order_id) != session.user_id:
        raise OrderError(NOT_FOUND)
    return order_id


def _array(rows: list[bytes]) -> bytes:
    return b"[" + b",".join(rows) + b"]"


ROUTES = [
    Route("/orders", kite(book), methods=["GET"]),
    Route("/orders/{order_id}", kite(history), methods=["GET"]),
    Route("/orders/{order_id}/trades", kite(order_trades), methods=["GET"]),
    Route("/orders/{variety}", kite(place, "own"), methods=["POST"]),
    Route("/orders/{variety}/{order_id}", kite(modify), methods=["PUT"]),
    Route("/orders/{variety}/{order_id}", kite(cancel), methods=["DELETE"]),
    Route("/trades", kite(trades), methods=["GET"]),
]
