"""Profile, funds, positions and holdings of the client.

Belongs here: Kite's routes; the rows are made in `portfolio`.
"""

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from .. import portfolio, wire
from ..errors import InputError
from ..identifiers import token
from ..services import Services
from ..session import Session
from .endpoint import kite
from .sessions import profile_fields


async def profile(services: Services, session: Session, request: Request) -> dict[str, Any]:
    """GET /user/profile."""
    return profile_fields(services.accounts[session.user_id])


async def margins(services: Services, session: Session, request: Request) -> dict[str, Any]:
    """GET /user/margins."""
    equity = portfolio.funds(services.accounts[session.user_id])
    return {"equity": equity, "commodity": portfolio.commodity_funds()}


async def margins_of(services: Services, session: Session, request: Request) -> dict[str, Any]:
    """GET /user/margins/{segment}."""
    segment = request.path_params["segment"]
    both = await margins(services, session, request)
    if segment not in both:
        raise InputError("Invalid `segment`. It should be equity or commodity.")
    found: dict[str, Any] = both[segment]
    return found


async def positions(services: Services, session: Session, request: Request) -> dict[str, Any]:
    """GET /portfolio/positions."""
    return portfolio.positions(services.accounts[session.user_id], services.market.catalogue, services.market)


async def holdings(services: Services, session: Session, request: Request) -> list[dict[str, Any]]:
    """GET /portfolio/holdings."""
    account = services.accounts[session.user_id]
    return [
        portfolio.holding_row(account, holding, services.market.catalogue, services.market, services.exchange.clock)
        for holding in account.holdings.values()
    ]


async def authorise(services: Services, session: Session, request: Request) -> dict[str, str]:
    """POST /portfolio/holdings/authorise: on paper the depository agrees at once.

    Without `isin` and `quantity` everything held is authorised.
    """
    account = services.accounts[session.user_id]
    form = await wire.read_form(request)
    with services.book.unit():
        for holding in account.holdings.values():
            isin = services.market.catalogue.by_key[holding.key].isin
            if form.get("isin", isin) == isin:
                units = form.get("quantity", "")
                holding.authorised_quantity = int(units) if units.isdigit() else holding.quantity + holding.t1_quantity
        services.book.touch(account)
    return {"request_id": token()}


ROUTES = [
    Route("/user/profile", kite(profile), methods=["GET"]),
    Route("/user/margins", kite(margins), methods=["GET"]),
    Route("/user/margins/{segment}", kite(margins_of), methods=["GET"]),
    Route("/portfolio/positions", kite(positions), methods=["GET"]),
    Route("/portfolio/holdings", kite(holdings), methods=["GET"]),
    Route("/portfolio/holdings/authorise", kite(authorise), methods=["POST"]),
]
