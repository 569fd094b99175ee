"""Orders and broker sessions as they stand right now: for the live page, and counted for health and metrics.

Stuck means that a person should look: an order in flight to the broker for longer than a call may take,
one whose fate is unknown, or an amendment that the broker has not settled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypedDict

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import TruncMinute
from django_stubs_ext import WithAnnotations

from oms.lib.clock import start_of_day
from oms.lib.users import User
from orders.models import Amendment, BrokerAccount, Order, Routing
from orders.selectors import orders_visible_to
from orders.states import LIVE, OPEN_AMENDMENTS, State

UNKNOWN_FOR = timedelta(seconds=10)
IN_FLIGHT_FOR = timedelta(seconds=30)
AMENDING_FOR = timedelta(minutes=1)
BLIND_AFTER = timedelta(seconds=30)


def states_since(user: User, since: datetime) -> dict[State, int]:
    """Orders created since an instant, counted by state, in the order of the lifecycle; absent states too."""
    counts = dict(
        orders_visible_to(user).filter(created_at__gte=since).order_by().values_list("state").annotate(n=Count("pk"))
    )
    return {state: counts.get(state, 0) for state in State}


def orders_per_minute(user: User, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
    """Orders created in each minute of the span, quiet minutes as zero."""
    rows = orders_visible_to(user).filter(created_at__gte=since, created_at__lt=until).order_by()
    counts = dict(rows.annotate(minute=TruncMinute("created_at")).values_list("minute").annotate(n=Count("pk")))
    first = since.replace(second=0, microsecond=0)
    minutes = [first + timedelta(minutes=n) for n in range(int((until - first) / timedelta(minutes=1)) + 1)]
    return [(minute, counts.get(minute, 0)) for minute in minutes]


def stuck_orders(user: User, at: datetime, *, limit: int) -> Sequence[Order]:
    """Orders UNKNOWN, or SUBMITTING for longer than a call to the broker may take, the oldest first."""
    waiting = Q(state=State.UNKNOWN, sent_at__lt=at - UNKNOWN_FOR) | Q(
        state=State.SUBMITTING, sent_at__lt=at - IN_FLIGHT_FOR
    )
    rows = orders_visible_to(user).filter(waiting, state__in=[State.UNKNOWN, State.SUBMITTING])
    return list(rows.select_related("account", "broker_account").order_by("sent_at")[:limit])


def stuck_amendments(user: User, at: datetime, *, limit: int) -> Sequence[Amendment]:
    """Amendments that have been open for longer than a minute, the oldest first."""
    rows = Amendment.objects.filter(state__in=OPEN_AMENDMENTS, created_at__lt=at - AMENDING_FOR)
    mine = rows.filter(order__in=orders_visible_to(user))
    return list(mine.select_related("order", "order__account").order_by("created_at")[:limit])


class Routed(TypedDict):
    """What `broker_accounts` adds to each: whether any account's orders are sent through it."""

    is_routed: bool


def broker_accounts() -> "Sequence[WithAnnotations[BrokerAccount, Routed]]":
    """Every broker account with the state of its session, and whether anything `is_routed` to it."""
    routed = Exists(Routing.objects.filter(broker_account=OuterRef("pk")))
    return list(BrokerAccount.objects.annotate(is_routed=routed).order_by("name"))


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """Broker accounts that orders are routed through: all, those logged in, and of these those not polled lately."""

    routed: int
    open: int
    blind: int


def broker_sessions(*, at: datetime) -> SessionCounts:
    """See SessionCounts. A session is watched every few seconds; after BLIND_AFTER without a good poll it is blind."""
    accounts = list(routed_broker_accounts())
    logged_in = [a for a in accounts if a.session_state == BrokerAccount.SessionState.OPEN]
    since = [max(filter(None, (a.polled_at, a.session_opened_at)), default=at) for a in logged_in]
    return SessionCounts(len(accounts), len(logged_in), sum(at - seen > BLIND_AFTER for seen in since))


def routed_broker_accounts() -> "QuerySet[BrokerAccount]":
    """The broker accounts that some account's orders are sent through."""
    return BrokerAccount.objects.filter(routings__isnull=False).distinct()


def live_orders_by_state() -> dict[str, int]:
    """Counts of the orders that have not ended; read from the partial index of live orders."""
    return dict(Order.objects.filter(state__in=LIVE).order_by().values_list("state").annotate(Count("id")))


def orders_by_state_on(trade_date: date) -> dict[str, int]:
    """Counts of the orders created on a date in India."""
    midnight = start_of_day(trade_date)
    orders = Order.objects.filter(created_at__gte=midnight, created_at__lt=midnight + timedelta(days=1))
    return dict(orders.order_by().values_list("state").annotate(Count("id")))
