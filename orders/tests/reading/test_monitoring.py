"""What a person must look at now: when an order counts as stuck and a session as blind, to the second."""

from datetime import timedelta
from typing import Any

import pytest

from compliance.models import Account
from oms.lib.clock import ist_date, now, start_of_day
from orders.models import BrokerAccount, Order, Routing
from orders.reading.monitoring import (
    broker_accounts,
    broker_sessions,
    live_orders_by_state,
    orders_by_state_on,
    orders_per_minute,
    states_since,
    stuck_amendments,
    stuck_orders,
)
from orders.services.amendments.asking import request_cancel
from orders.services.submission import claim_orders
from orders.states import State
from orders.tests.factories import TRADER, fresh, place, see, send, trade
from orders.types import BrokerStatus, Unconfirmed

AT = now()
SECOND = timedelta(seconds=1)


def ago(seconds: float) -> Any:
    return AT - timedelta(seconds=seconds)


class TestStuckOrders:
    @pytest.mark.parametrize(("seconds", "is_stuck"), [(9, False), (10, False), (11, True)])
    def test_an_unknown_fate_after_ten_seconds(
        self, trader: Any, sbin: Any, operator: Any, seconds: int, is_stuck: bool
    ) -> None:
        order = send(place(user=trader), Unconfirmed("time-out"), at=ago(seconds))
        assert order.state == State.UNKNOWN
        assert bool(stuck_orders(operator, AT, limit=9)) is is_stuck

    @pytest.mark.parametrize(("seconds", "is_stuck"), [(29, False), (30, False), (31, True)])
    def test_a_call_after_thirty_seconds(
        self, trader: Any, sbin: Any, operator: Any, seconds: int, is_stuck: bool
    ) -> None:
        order = place(user=trader)
        claim_orders(order.broker_account_id, limit=9, at=ago(seconds))
        assert fresh(order).state == State.SUBMITTING
        assert bool(stuck_orders(operator, AT, limit=9)) is is_stuck

    def test_an_order_that_waits_or_works_is_not_stuck_however_old(self, trader: Any, sbin: Any, operator: Any) -> None:
        see(send(place(user=trader, at=ago(9000)), at=ago(9000)), BrokerStatus.OPEN)
        place(user=trader, at=ago(8000))
        assert stuck_orders(operator, AT, limit=9) == []

    def test_the_oldest_first_no_more_than_asked_for_and_nobody_elses(
        self, trader: Any, outsider: Any, sbin: Any, operator: Any
    ) -> None:
        orders = [send(place(user=trader), Unconfirmed("?"), at=ago(seconds)) for seconds in (20, 40, 30)]
        assert [order.pk for order in stuck_orders(operator, AT, limit=2)] == [orders[1].pk, orders[2].pk]
        assert len(stuck_orders(trader, AT, limit=9)) == 3
        assert stuck_orders(outsider, AT, limit=9) == []


@pytest.mark.parametrize(("seconds", "is_stuck"), [(59, False), (61, True)])
def test_an_amendment_after_a_minute(
    trader: Any, outsider: Any, sbin: Any, operator: Any, seconds: int, is_stuck: bool
) -> None:
    order = see(send(place(user=trader)), BrokerStatus.OPEN)
    request_cancel(order.pk, actor=TRADER, at=ago(seconds), user=trader, reason="")
    assert [one.order_id for one in stuck_amendments(operator, AT, limit=9)] == ([order.pk] if is_stuck else [])
    assert stuck_amendments(outsider, AT, limit=9) == []
    see(order, BrokerStatus.CANCELLED)
    assert stuck_amendments(operator, AT, limit=9) == [], "what is settled is not stuck"


class TestSessions:
    @pytest.mark.parametrize(
        ("state", "polled", "opened", "counts"),  # seconds ago, None for never; routed, open, blind
        [
            ("OPEN", 1, 3600, (1, 1, 0)),
            ("OPEN", 30, 3600, (1, 1, 0)),
            ("OPEN", 31, 3600, (1, 1, 1)),
            ("OPEN", 3600, 1, (1, 1, 0)),  # has only just logged in
            ("OPEN", None, 31, (1, 1, 1)),
            ("OPEN", None, None, (1, 1, 0)),
            ("CLOSED", 3600, 3600, (1, 0, 0)),  # nobody expects polls of it
            ("EXPIRED", 1, 1, (1, 0, 0)),
        ],
    )
    def test_a_session_that_no_poll_reached_for_thirty_seconds_is_blind(
        self, account: Any, state: str, polled: int | None, opened: int | None, counts: Any
    ) -> None:
        BrokerAccount.objects.update(
            session_state=state,
            polled_at=None if polled is None else ago(polled),
            session_opened_at=None if opened is None else ago(opened),
        )
        found = broker_sessions(at=AT)
        assert (found.routed, found.open, found.blind) == counts

    def test_a_broker_account_counts_once_however_many_are_routed_to_it(self, account: Any, other_account: Any) -> None:
        assert broker_sessions(at=AT).routed == 1
        Routing.objects.all().delete()
        found = broker_sessions(at=AT)
        assert (found.routed, found.open, found.blind) == (0, 0, 0)
        assert [one.is_routed for one in broker_accounts()] == [False]


def test_orders_by_state_with_the_absent_ones(trader: Any, outsider: Any, sbin: Any) -> None:
    since = now() - SECOND
    place(user=trader)
    place(user=trader, price=5000)
    place(user=trader, at=ago(9000))
    counts = states_since(trader, since)
    assert list(counts) == list(State)
    assert {state: count for state, count in counts.items() if count} == {State.CREATED: 1, State.REJECTED: 1}
    assert set(states_since(outsider, since).values()) == {0}


def test_the_pace_has_every_minute_also_the_quiet_ones(trader: Any, outsider: Any, sbin: Any) -> None:
    until = AT.replace(second=30, microsecond=0)
    for minutes, count in ((0, 1), (2, 2), (9, 1)):
        for n in range(count):
            place(user=trader, at=until - timedelta(minutes=minutes, seconds=1 + n))
    pace = orders_per_minute(trader, until - timedelta(minutes=4), until)
    assert [count for _, count in pace] == [0, 0, 2, 0, 1]
    assert all(moment.second == 0 for moment, _ in pace)
    assert [count for _, count in orders_per_minute(outsider, until - timedelta(minutes=4), until)] == [0] * 5


def test_live_orders_and_those_of_a_day_in_india(trader: Any, sbin: Any) -> None:
    today = start_of_day(ist_date(AT))
    filled = send(place(user=trader, at=today))
    see(filled, BrokerStatus.COMPLETE, [trade(filled, 1, 10)])
    place(user=trader, at=today - SECOND)
    assert live_orders_by_state() == {"CREATED": 1}
    assert orders_by_state_on(ist_date(AT)) == {"FILLED": 1}
    assert orders_by_state_on(ist_date(AT) - timedelta(days=1)) == {"CREATED": 1}
    assert Order.objects.count() == 2
    assert Account.objects.filter(code="DEMO").exists()
