"""How many orders and broker sessions stand where, over the whole house: for health and metrics, not for people."""

from datetime import date, datetime, time, timedelta

from django.db.models import Count, QuerySet

from oms.lib.clock import IST
from orders.models import BrokerAccount, Order
from orders.states import LIVE


def broker_sessions() -> tuple[int, int]:
    """How many broker accounts have orders routed through them, and how many of these are logged in."""
    states = [account.session_state for account in routed_broker_accounts()]
    return len(states), states.count(BrokerAccount.SessionState.OPEN)


def routed_broker_accounts() -> "QuerySet[BrokerAccount]":
    """The broker accounts that some account's orders are sent through."""
    return BrokerAccount.objects.filter(routings__isnull=False).distinct()


def live_orders_by_state() -> dict[str, int]:
    """Counts of the orders that have not ended; read from the partial index of live orders."""
    return dict(Order.objects.filter(state__in=LIVE).order_by().values_list("state").annotate(Count("id")))


def orders_by_state_on(trade_date: date) -> dict[str, int]:
    """Counts of the orders created on a date in India."""
    midnight = datetime.combine(trade_date, time.min, IST)
    orders = Order.objects.filter(created_at__gte=midnight, created_at__lt=midnight + timedelta(days=1))
    return dict(orders.order_by().values_list("state").annotate(Count("id")))
