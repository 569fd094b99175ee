"""Opening portfolios: pots of capital of an account, empty to begin with. Money comes by `capital.deposit`."""

from datetime import datetime

from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.selectors import OPERATOR, lock_trading_account, require
from ledger.models import CapitalAccount
from oms.lib.actors import Actor
from oms.lib.users import User
from oms.lib.validation import Faults, insert_once


@transaction.atomic(durable=True)
def open_portfolio(
    account_id: int, *, code: str, name: str, reason: str, user: User | None, actor: Actor, at: datetime
) -> CapitalAccount:
    """Open a portfolio with nothing in it. `code` is what the API calls portfolioId, one of its kind in the house.

    Raises Forbidden for anybody but operators, NotFound, Invalid with a pointer per wrong field, Conflict for a
    taken code.
    """
    require(user, OPERATOR, what="open a portfolio")
    account = lock_trading_account(account_id)
    portfolio = CapitalAccount(account=account, code=code.strip(), name=name.strip())
    faults = Faults()
    why = faults.reason(reason)
    faults.unless(not any(c.isspace() or c == "/" for c in portfolio.code), "/code", "format", "No spaces or slashes.")
    faults.columns(portfolio, "code", "name")
    faults.refuse("The portfolio is not valid.")
    insert_once(portfolio, "/code", f"There is a portfolio {portfolio.code} already.")
    data = {"portfolio": portfolio.code, "name": portfolio.name, "reason": why}
    audit.record_on(account, EventType.PORTFOLIO_OPENED, data, actor=actor, at=at)
    return portfolio
