"""How many orders and broker sessions stand where, over the whole house: for health and metrics, not for people."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Count, QuerySet

from oms.lib.clock import IST
from orders.models import BrokerAccount, Order
from orders.states import LIVE

BLIND_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class SessionCensus:
    """Broker accounts that orders are routed through: all, those logged in, and of these those not polled lately."""

    routed: int
    open: int
    blind: int


def broker_sessions(*, at: datetime) -> SessionCensus:
    """See SessionCensus. A session is watched every second; after BLIND_AFTER without a good poll it is blind."""
    accounts = list(routed_broker_accounts())
    logged_in = [a for a in accounts if a.session_state == BrokerAccount.SessionState.OPEN]
    since = [max(filter(None, (a.polled_at, a.session_opened_at)), default=at) for a in logged_in]
    return SessionCensus(len(accounts), len(logged_in), sum(at - seen > BLIND_AFTER for seen in since))


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
