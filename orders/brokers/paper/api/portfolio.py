"""Profile, funds, positions and holdings of the client.

Belongs here: Kite's routes; the rows are made in `portfolio`.
"""

from typing import Any

from starlette.routing import Route

from orders.brokers.paper import portfolio, wire
from orders.brokers.paper.errors import InputError
from orders.brokers.paper.identifiers import token

from .endpoint import Call, kite
from .sessions import profile_fields


async def profile(call: Call) -> dict[str, Any]:
    """GET /user/profile."""
    return profile_fields(call.services.accounts[call.session.user_id])


async def margins(call: Call) -> dict[str, Any]:
    """GET /user/margins."""
    equity = portfolio.funds(call.services.accounts[call.session.user_id])
    return {"equity": equity, "commodity": portfolio.commodity_funds()}


async def margins_of(call: Call) -> dict[str, Any]:
    """GET /user/margins/{segment}."""
    segment = call.request.path_params["segment"]
    both = await margins(call)
    if segment not in both:
        raise InputError("Invalid `segment`. It should be equity or commodity.")
    found: dict[str, Any] = both[segment]
    return found


async def positions(call: Call) -> dict[str, Any]:
    """GET /portfolio/positions."""
    return portfolio.positions(
        call.services.accounts[call.session.user_id], call.services.market.catalogue, call.services.market
    )


async def holdings(call: Call) -> list[dict[str, Any]]:
    """GET /portfolio/holdings."""
    account = call.services.accounts[call.session.user_id]
    return [
        portfolio.holding_row(
            account, holding, call.services.market.catalogue, call.services.market, call.services.exchange.clock
        )
        for holding in account.holdings.values()
    ]


async def authorise(call: Call) -> dict[str, str]:
    """POST /portfolio/holdings/authorise: on paper the depository agrees at once.

    Without `isin` and `quantity` everything held is authorised.
    """
    account = call.services.accounts[call.session.user_id]
    form = await wire.read_form(call.request)
    with call.services.book.unit():
        for holding in account.holdings.values():
            isin = call.services.market.catalogue.by_key[holding.key].isin
            if form.get("isin", isin) == isin:
                units = form.get("quantity", "")
                holding.authorised_quantity = int(units) if units.isdigit() else holding.quantity + holding.t1_quantity
        call.services.book.touch(account)
    return {"request_id": token()}


ROUTES = [
    Route("/user/profile", kite(profile), methods=["GET"]),
    Route("/user/margins", kite(margins), methods=["GET"]),
    Route("/user/margins/{segment}", kite(margins_of), methods=["GET"]),
    Route("/portfolio/positions", kite(positions), methods=["GET"]),
    Route("/portfolio/holdings", kite(holdings), methods=["GET"]),
    Route("/portfolio/holdings/authorise", kite(authorise), methods=["POST"]),
]
