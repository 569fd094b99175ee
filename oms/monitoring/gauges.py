"""How the whole system stands right now, in numbers: what Prometheus is shown beside the latencies."""

from compliance.publisher import lag
from oms.lib import clock
from oms.lib.clock import ist_date
from oms.lib.redis import client
from orders.brokers import limits
from orders.brokers.base import Temporary
from orders.reading.monitoring import broker_sessions, live_orders_by_state, orders_by_state_on, routed_broker_accounts

#: name → (help, label name or "", label value → number)
Gauges = dict[str, tuple[str, str, dict[str, float]]]


def gauges() -> Gauges:
    """Every gauge. Raises DatabaseError or RedisError."""
    now = clock.now()
    lag_seconds, unpublished = lag(client(), now)
    sessions = broker_sessions(at=now)
    return {
        "oms_live_orders": ("Orders not ended, by state.", "state", {**live_orders_by_state()}),
        "oms_orders_today": ("Orders of this day in India, by state.", "state", {**orders_by_state_on(ist_date(now))}),
        "oms_event_lag_seconds": ("Age of the oldest event not published.", "", {"": lag_seconds}),
        "oms_events_unpublished": ("Events not published.", "", {"": unpublished}),
        "oms_broker_accounts_routed": ("Broker accounts that orders are routed through.", "", {"": sessions.routed}),
        "oms_broker_sessions_open": ("Those of them that are logged in.", "", {"": sessions.open}),
        "oms_broker_sessions_blind": ("Those of them that no poll reached lately.", "", {"": sessions.blind}),
        "oms_limiter_waiting": ("Calls to brokers that wait for their turn, by kind.", "kind", _waiting()),
    }


def _waiting() -> dict[str, float]:
    waiting: dict[str, float] = {}
    for account in routed_broker_accounts():
        try:
            for kind, count in limits.waiting(account).items():
                waiting[kind] = waiting.get(kind, 0) + count
        except Temporary:
            return {}
    return waiting
