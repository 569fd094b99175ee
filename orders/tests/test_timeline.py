"""The story of an order: everything that happened, in order, on one axis, with the proof recomputed."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from oms.lib.actors import Actor, ActorType
from oms.lib.clock import now
from orders.models import Order
from orders.reading.timeline import Lane, TimelineItem, story_of
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.tests.factories import broker_id, fresh, place, see, send, trade
from orders.types import Accepted, BrokerStatus, Modification, Unconfirmed


@pytest.fixture
def order(trader: Any, sbin: Any) -> Order:
    """Placed, sent, opened, modified, partly filled, then cancelled."""
    actor = Actor(ActorType.TRADER, str(trader.pk), "API")
    order = see(send(place(user=trader, client_order_id="mine")), BrokerStatus.OPEN)
    request_modify(order.pk, Modification(price=Decimal(1010)), actor=actor, at=now(), user=trader, reason="chasing")
    dispatch(order)
    order = see(fresh(order), BrokerStatus.OPEN, price=Decimal(1010))
    order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4, 1005)])
    request_cancel(order.pk, actor=actor, at=now(), user=trader, reason="enough")
    dispatch(order)
    return see(fresh(order), BrokerStatus.CANCELLED, filled=4)


def dispatch(order: Order) -> None:
    for one in claim_amendments(order.broker_account_id, limit=5, at=now()):
        answer_amendment(one, Accepted(broker_id(order)), at=now())


def timeline(order: Order) -> list[TimelineItem]:
    return [item for moment in story_of(order).moments for item in moment.items]


def names(order: Order, lane: Lane) -> list[str]:
    return [item.name for item in timeline(order) if item.lane is lane]


def test_every_lane_is_told_in_full(order: Order) -> None:
    assert [n for n in names(order, Lane.EVENT) if not n.startswith("CAPITAL")] == [
        "ORDER_CREATED", "ORDER_SENT", "ORDER_PLACED", "ORDER_OPENED", "MODIFY_REQUESTED", "MODIFY_SENT",
        "ORDER_MODIFIED", "ORDER_PARTIALLY_FILLED", "CANCEL_REQUESTED", "CANCEL_SENT", "ORDER_CANCELLED",
    ]  # fmt: skip
    assert names(order, Lane.EXECUTION) == ["TRADE"]
    assert names(order, Lane.AMENDMENT) == [
        "MODIFY_ASKED", "MODIFY_SENT", "MODIFY_CONFIRMED", "CANCEL_ASKED", "CANCEL_SENT", "CANCEL_CONFIRMED",
    ]  # fmt: skip
    assert names(order, Lane.BROKER)[0] == "PLACE"
    assert {"MODIFY", "CANCEL", "POLL"} <= set(names(order, Lane.BROKER))
    assert {"RESERVE", "ALLOCATE", "CHARGE", "RELEASE"} <= set(names(order, Lane.CAPITAL))


def test_time_never_runs_backwards_and_gaps_add_up(order: Order) -> None:
    moments = story_of(order).moments
    assert moments[0].gap is None
    for before, after in pairwise(moments):
        assert after.at > before.at
        assert after.gap == after.at - before.at
        assert all(item.at == after.at for item in after.items)
    assert sum(len(moment.items) for moment in moments) == len(timeline(order))


def test_what_one_commit_wrote_stands_together(order: Order) -> None:
    accepted = story_of(order).moments[0]
    assert {item.name for item in accepted.items} == {"ORDER_CREATED", "CAPITAL_RESERVED", "RESERVE"}


def test_people_are_named_and_checks_shown(order: Order, trader: Any) -> None:
    created = next(item for item in timeline(order) if item.name == "ORDER_CREATED")
    assert created.gist == "BUY 10 SBIN LIMIT at 1000"
    assert ("client order id", "mine") in created.facts
    assert {check["check"] for check in created.checks} >= {"TICK_SIZE", "LOT_SIZE"}
    asked = next(item for item in timeline(order) if item.name == "MODIFY_REQUESTED")
    assert asked.actor == trader.get_username()
    assert asked.gist == "price 1000 → 1010 · chasing"


def test_capital_adds_up_to_nothing_held_after_the_end(order: Order) -> None:
    capital = story_of(order).capital
    assert capital.still_reserved == 0
    assert capital.allocated == Decimal("4020.00")
    assert capital.charged == order.charges
    assert capital.reserved == capital.allocated + capital.released


def test_an_open_order_still_holds_what_it_reserved(trader: Any, sbin: Any, portfolio: Any) -> None:
    story = story_of(send(place(user=trader)))
    portfolio.refresh_from_db()
    assert story.capital.still_reserved == portfolio.reserved > 0


def test_the_chain_is_recomputed_and_a_cut_tail_is_noticed(order: Order) -> None:
    report = story_of(order).chain
    assert (report.ok, report.count) == (True, order.event_seq)
    order.event_hash = bytes(32)
    assert not story_of(order).chain.ok


def test_a_refused_order_has_a_story_too(trader: Any, sbin: Any) -> None:
    order = place(user=trader, price=5000)
    items = timeline(order)
    assert [item.name for item in items] == ["RISK_REJECTED"]
    assert order.rejection_reason in items[0].gist
    assert any(not check["passed"] for check in items[0].checks)


def test_an_unknown_fate_is_told(trader: Any, sbin: Any) -> None:
    order = send(place(user=trader), Unconfirmed("time-out after 7 s"))
    told = {item.name: item.gist for item in timeline(order)}
    assert told["SEND_UNCONFIRMED"] == "time-out after 7 s"


def test_a_long_story_costs_no_more_queries(
    order: Order, trader: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(6):
        story_of(order)
