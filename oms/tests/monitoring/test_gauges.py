"""What Prometheus is shown of the whole system, against what there is."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from compliance.models import OrderEvent
from compliance.publisher import Position, publish_batch
from oms.lib.clock import now
from oms.lib.redis import client
from oms.monitoring import gauges
from oms.monitoring.gauges import gauges as all_gauges
from orders.brokers import limits
from orders.brokers.base import Temporary
from orders.models import BrokerAccount, Routing
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


def values(name: str) -> dict[str, float]:
    return all_gauges()[name][2]


def test_every_gauge_says_what_it_is_and_has_numbers(account: Any) -> None:
    for name, (text, label, numbers) in all_gauges().items():
        assert name.startswith("oms_")
        assert text.endswith(".")
        assert all(isinstance(value, int | float) for value in numbers.values()), name
        assert (set(numbers) == {""}) == (label == ""), name


def test_live_orders_and_those_of_today(account: Any, sbin: Any) -> None:
    filled = send(place())
    see(filled, BrokerStatus.COMPLETE, [trade(filled, 1, 10)])
    place()
    place(at=now() - timedelta(days=2))
    assert values("oms_live_orders") == {"CREATED": 2}
    assert values("oms_orders_today") == {"CREATED": 1, "FILLED": 1}


def test_events_wait_until_they_are_published(account: Any, sbin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place()
    count = OrderEvent.objects.count()
    with time_machine.travel(now() + timedelta(seconds=90), tick=False):
        assert values("oms_events_unpublished") == {"": count}
        assert values("oms_event_lag_seconds")[""] >= 90
    newest = OrderEvent.objects.order_by("xid", "id").last()
    assert newest is not None
    client().xadd("order_events_stream", {"event_id": "x"}, id=Position(newest.xid, newest.id).text)
    assert values("oms_events_unpublished") == values("oms_event_lag_seconds") == {"": 0}
    assert publish_batch(client(), Position(newest.xid, newest.id))[1] == 0


@pytest.mark.parametrize(
    ("state", "polled", "counts"),  # seconds ago; routed, open, blind
    [("OPEN", 1, (1, 1, 0)), ("OPEN", 60, (1, 1, 1)), ("EXPIRED", 60, (1, 0, 0))],
)
def test_sessions(account: Any, state: str, polled: int, counts: tuple[int, int, int]) -> None:
    BrokerAccount.objects.update(session_state=state, polled_at=now() - timedelta(seconds=polled))
    names = ("oms_broker_accounts_routed", "oms_broker_sessions_open", "oms_broker_sessions_blind")
    assert tuple(values(name)[""] for name in names) == counts
    Routing.objects.all().delete()
    assert tuple(values(name)[""] for name in names) == (0, 0, 0)


def test_calls_that_wait_are_summed_over_brokers_and_unknown_without_redis(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = BrokerAccount.objects.create(name="Second", kind="PAPER", client_id="PX0002", default_account=account)
    Routing.objects.filter(account=account).update(broker_account=second)
    monkeypatch.setattr(limits, "waiting", lambda _: {"ORDER": 2, "OTHER": 1})
    assert values("oms_limiter_waiting") == {"ORDER": 2, "OTHER": 1}

    def away(_: Any) -> Any:
        raise Temporary("Redis is away")

    monkeypatch.setattr(gauges.limits, "waiting", away)
    assert values("oms_limiter_waiting") == {}
