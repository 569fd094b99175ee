"""The operator's routes under /control: prices, clock, faults, limits, apps, clients, the truth.

Belongs here: JSON in and out, guarded by X-Paper-Control. Nothing a trading client needs.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orders.brokers.paper import wire
from orders.brokers.paper.account import Account, Holding
from orders.brokers.paper.errors import InputError
from orders.brokers.paper.market import PriceChange, Quote
from orders.brokers.paper.money import average, read_rupees, to_rupees
from orders.brokers.paper.orders import Order
from orders.brokers.paper.services import Services, demo_account, open_account
from orders.brokers.paper.session import App

from .endpoint import services_of


@dataclass(frozen=True, slots=True)
class Command:
    """A control request with its JSON object."""

    services: Services
    request: Request
    body: dict[str, Any]


Work = Callable[[Command], Awaitable[Any]]


def _control(path: str, **works: Work) -> Route:
    """A route with one function per method; ValueError and KeyError become 400 and 404."""

    async def endpoint(request: Request) -> Response:
        services = services_of(request)
        key = request.headers.get("x-paper-control", "")
        if not secrets.compare_digest(key.encode(), services.control_key.encode()):
            return _answer({"error": "X-Paper-Control is missing or wrong"}, 403)
        try:
            body = {} if request.method == "GET" else await wire.read_json(request)
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            return _answer(await works[request.method.lower()](Command(services, request, body)))
        except KeyError as error:
            return _answer({"error": f"there is no {error.args[0]}"}, 404)
        except (ValueError, TypeError, InputError) as error:
            return _answer({"error": str(error)}, 400)

    return Route(path, endpoint, methods=[name.upper() for name in works])


def _answer(content: Any, code: int = 200) -> Response:
    return Response(orjson.dumps(content), code, media_type="application/json")


def _known(body: dict[str, Any], *names: str) -> None:
    unknown = body.keys() - set(names)
    if unknown:
        raise ValueError(f"unknown field {', '.join(sorted(unknown))}; there are {', '.join(names)}")


async def health(call: Command) -> dict[str, Any]:
    """GET: what the exchange is doing."""
    clock = call.services.exchange.clock
    return {
        "status": "ok",
        "now": clock.now().isoformat(),
        "day": call.services.day.current,
        "open": clock.is_open(),
        "ticks": call.services.ticks,
        "instruments": len(call.services.market.quotes),
        "clients": len(call.services.accounts),
        "orders": len(call.services.book.orders),
        "live_orders": len(call.services.book.live()),
        "faults": len(call.services.faults.active),
        "sockets": len(call.services.ticker.connections),
    }


def _quote(quote: Quote) -> dict[str, Any]:
    return {
        "last_price": to_rupees(quote.last),
        "freeze": quote.frozen,
        "volume_per_tick": quote.per_tick,
        "close": to_rupees(quote.close),
        "lower_circuit_limit": to_rupees(quote.lower),
        "upper_circuit_limit": to_rupees(quote.upper),
    }


async def prices(call: Command) -> dict[str, Any]:
    """GET: `?i=` keys, or all."""
    keys = call.request.query_params.getlist("i") or call.services.market.catalogue.by_key
    by_key = call.services.market.catalogue.by_key
    return {key: _quote(call.services.market.quotes[by_key[key].instrument_token]) for key in keys}


async def set_prices(call: Command) -> dict[str, Any]:
    """POST {key: {last_price, freeze, volume_per_tick, rebase}}: all or none; matched at once."""
    market = call.services.market
    changes = [_price_change(key, fields) for key, fields in call.body.items()]
    for change in changes:
        market.check(change)
    moved = [market.change(change) for change in changes]
    call.services.save_market()
    if call.services.exchange.clock.is_open():
        for quote in moved:
            call.services.exchange.match(quote.instrument.instrument_token)
    return {quote.instrument.key: _quote(quote) for quote in moved}


def _price_change(key: str, fields: Any) -> PriceChange:
    if not isinstance(fields, dict):
        raise ValueError(f"{key}: a JSON object is expected")
    _known(fields, "last_price", "freeze", "volume_per_tick", "rebase")
    price, per_tick = fields.get("last_price"), fields.get("volume_per_tick")
    if per_tick is not None and type(per_tick) is not int:
        raise ValueError(f"{key}: volume_per_tick must be a whole number")
    return PriceChange(
        key, None if price is None else read_rupees(price), fields.get("freeze"), per_tick, bool(fields.get("rebase"))
    )


async def clock(call: Command) -> dict[str, Any]:
    """GET: the clock."""
    return {
        **call.services.exchange.clock.state(),
        "now": call.services.exchange.clock.now().isoformat(),
        "open": call.services.exchange.clock.is_open(),
    }


async def set_clock(call: Command) -> dict[str, Any]:
    """POST {mode, now, frozen, holidays}: without `now` the clock returns to real time."""
    _known(call.body, "mode", "now", "frozen", "holidays")
    holidays = call.body.get("holidays")
    call.services.exchange.clock.set(
        mode=call.body.get("mode"),
        now=datetime.fromisoformat(call.body["now"]) if call.body.get("now") else None,
        frozen=bool(call.body.get("frozen")),
        holidays=None if holidays is None else [date.fromisoformat(day) for day in holidays],
    )
    call.services.day.check()
    call.services.save_market()
    return await clock(call)


async def tick(call: Command) -> dict[str, int]:
    """POST {count}: move the market now, besides its own ticks."""
    _known(call.body, "count")
    count = call.body.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= 10_000:
        raise ValueError("count must be 1 to 10000")
    for _ in range(count):
        call.services.tick()
    return {"ticks": call.services.ticks}


async def faults(call: Command) -> list[dict[str, Any]]:
    """GET: the faults in force."""
    return call.services.faults.state()


async def add_fault(call: Command) -> dict[str, Any]:
    """POST {kind, route, probability, calls, seconds, status, taken}."""
    fault = call.services.faults.add(call.body)
    if fault.kind == "stale_book":
        call.services.stale.take(fault)
    return asdict(fault)


async def clear_faults(call: Command) -> list[Any]:
    """DELETE: lift them all."""
    call.services.faults.clear()
    return []


async def drop_fault(call: Command) -> dict[str, int]:
    """DELETE /control/faults/{id}: lift one."""
    number = int(call.request.path_params["id"])
    if number not in call.services.faults.active:
        raise KeyError(f"fault {number}")
    call.services.faults.remove(number)
    return {"removed": number}


async def limits(call: Command) -> dict[str, Any]:
    """GET: the rate limits."""
    return dict(call.services.limits.figures())


async def set_limits(call: Command) -> dict[str, Any]:
    """POST: change any of the figures; 0 is no limit."""
    call.services.limits.set(call.body)
    return dict(call.services.limits.figures())


async def settings(call: Command) -> dict[str, float]:
    """GET: the exchange's own pace."""
    return {"tick_seconds": call.services.tick_seconds, "latency_seconds": call.services.exchange.latency}


async def set_settings(call: Command) -> dict[str, float]:
    """POST {tick_seconds, latency_seconds}."""
    _known(call.body, "tick_seconds", "latency_seconds")
    for name, value in call.body.items():
        if not isinstance(value, int | float) or not 0 <= value <= 600:
            raise ValueError(f"{name} must be a number of seconds, 0 to 600")
    call.services.tick_seconds = max(0.01, call.body.get("tick_seconds", call.services.tick_seconds))
    call.services.exchange.latency = call.body.get("latency_seconds", call.services.exchange.latency)
    return await settings(call)


async def apps(call: Command) -> list[dict[str, Any]]:
    """GET: the apps, with their secrets: this is a demo."""
    return [asdict(app) for app in call.services.sessions.apps.values()]


async def set_app(call: Command) -> dict[str, Any]:
    """POST {api_key, api_secret, redirect_url, postback_url}: add an app or change one."""
    _known(call.body, "api_key", "api_secret", "redirect_url", "postback_url")
    api_key = str(call.body.get("api_key") or "")
    known = call.services.sessions.apps.get(api_key)
    fields = asdict(known) if known else {"app_id": len(call.services.sessions.apps) + 1}
    fields.update(call.body)
    if not api_key or not fields.get("api_secret"):
        raise ValueError("api_key and api_secret are required")
    app = App(**fields)
    call.services.sessions.register(app)
    return asdict(app)


async def clients(call: Command) -> list[dict[str, Any]]:
    """GET: the clients, their cash and what they hold."""
    return [_client(account) for account in call.services.accounts.values()]


def _client(account: Account) -> dict[str, Any]:
    return {
        "user_id": account.user_id,
        "user_name": account.user_name,
        "edis": account.edis,
        "cash": to_rupees(account.cash),
        "available": to_rupees(account.available),
        "holdings": {
            holding.key: {
                "quantity": holding.quantity,
                "t1_quantity": holding.t1_quantity,
                "average_price": average(holding.cost, holding.quantity + holding.t1_quantity),
            }
            for holding in account.holdings.values()
        },
    }


async def set_client(call: Command) -> dict[str, Any]:
    """POST {user_id, user_name, cash, edis, holdings: {key: {quantity, average_price}}}.

    Adds a client, or changes what is given of one; `holdings` replaces them all.
    """
    _known(call.body, "user_id", "user_name", "cash", "edis", "holdings")
    user_id = str(call.body.get("user_id") or "")
    if not user_id.isalnum() or len(user_id) > 20:
        raise ValueError("user_id must be 1 to 20 letters and digits")
    account = call.services.accounts.get(user_id) or Account(user_id, user_id, 0, 0)
    holdings = dict(account.holdings)
    if "holdings" in call.body:
        holdings = {key: _holding(call.services, key, fields) for key, fields in call.body["holdings"].items()}
    cash = read_rupees(call.body["cash"]) if "cash" in call.body else account.cash
    account.user_name = str(call.body.get("user_name", account.user_name))
    account.edis = bool(call.body.get("edis", account.edis))
    account.opening_cash += cash - account.cash
    account.holdings, account.cash = holdings, cash
    open_account(call.services, account)
    return _client(account)


def _holding(services: Services, key: str, fields: dict[str, Any]) -> Holding:
    _known(fields, "quantity", "average_price")
    quote = services.market.quotes[services.market.catalogue.by_key[key].instrument_token]
    if not quote.instrument.is_equity:
        raise ValueError(f"{key} cannot be held")
    quantity = fields.get("quantity")
    if not isinstance(quantity, int) or quantity < 1:
        raise ValueError(f"{key}: quantity must be a whole number from 1")
    price = read_rupees(fields["average_price"]) if "average_price" in fields else quote.last
    return Holding(key, quantity, cost=quantity * price)


async def orders(call: Command) -> list[dict[str, Any]]:
    """GET ?tag=: every order the exchange truly holds, of any day, whatever faults pretend."""
    found = call.services.store.find_orders(call.request.query_params.get("tag"))
    return [_truth(call.services, order) for order in found]


def _truth(services: Services, order: Order) -> dict[str, Any]:
    trades = [orjson.loads(row) for row in services.store.order_trades(order.order_id)]
    return {**order.row(), "resting": order.resting, "ghost": order.ghost, "live": order.is_live, "trades": trades}


async def postbacks(call: Command) -> list[dict[str, Any]]:
    """GET: the last thousand notices and what became of them."""
    return list(call.services.postbacks.log)


async def reset(call: Command) -> dict[str, Any]:
    """POST {sessions}: a fresh exchange. Apps stay, and with `sessions` false (the default) logins.

    Clients other than the demo's stay too, without cash and holdings.
    """
    _known(call.body, "sessions")
    call.services.reset(keep_sessions=not call.body.get("sessions"))
    for account in call.services.accounts.values():
        open_account(call.services, account)
    open_account(call.services, demo_account(call.services))
    return await health(call)


ROUTES = [
    _control("/control/health", get=health),
    _control("/control/prices", get=prices, post=set_prices),
    _control("/control/clock", get=clock, post=set_clock),
    _control("/control/tick", post=tick),
    _control("/control/faults", get=faults, post=add_fault, delete=clear_faults),
    _control("/control/faults/{id:int}", delete=drop_fault),
    _control("/control/limits", get=limits, post=set_limits),
    _control("/control/settings", get=settings, post=set_settings),
    _control("/control/apps", get=apps, post=set_app),
    _control("/control/clients", get=clients, post=set_client),
    _control("/control/orders", get=orders),
    _control("/control/postbacks", get=postbacks),
    _control("/control/reset", post=reset),
]
