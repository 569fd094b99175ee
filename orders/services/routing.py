"""Which broker account an account's orders go through: setting it, on the account's chain."""

from datetime import datetime

from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.selectors import OPERATOR, lock_trading_account, require
from oms.lib.actors import Actor
from oms.lib.errors import Conflict, Invalid, NotFound
from oms.lib.users import User
from oms.lib.validation import Faults
from orders.models import BrokerAccount, Order, Routing
from orders.states import LIVE


@transaction.atomic(durable=True)
def change_routing(
    account_id: int, *, broker_account_id: int, reason: str, user: User | None, actor: Actor, at: datetime
) -> Routing:
    """Send an account's orders through this broker account from now on.

    The account's lock keeps placement out until the commit, so no order is taken on the old way meanwhile.
    Raises Forbidden for anybody but operators, NotFound, Invalid, Conflict while orders of the account live.
    """
    require(user, OPERATOR, what="route an account")
    faults = Faults()
    why = faults.reason(reason)
    faults.refuse("The route is not valid.")
    account = lock_trading_account(account_id)
    target = BrokerAccount.objects.filter(pk=broker_account_id).first()
    if target is None:
        raise NotFound("There is no such broker account.")
    route = Routing.objects.select_related("broker_account").filter(account_id=account.pk).first()
    before = route.broker_account.name if route else ""
    if route is not None and route.broker_account_id == target.pk:
        raise Invalid(f"{account.code} goes through {target.name} already.", code="nothing_changed")
    living = Order.objects.filter(account_id=account.pk, state__in=sorted(LIVE)).count()
    if living:
        detail = f"Orders of {account.code} that are not over: {living}. Cancel them or let them end, then route."
        raise Conflict(detail, code="orders_live")
    route = route or Routing(account_id=account.pk)
    route.broker_account = target
    route.save()
    data = {"from": before, "to": target.name, "client_id": target.client_id, "reason": why}
    audit.record_on(account, EventType.ROUTING_CHANGED, data, actor=actor, at=at)
    return route
