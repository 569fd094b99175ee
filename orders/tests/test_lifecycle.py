"""The lifecycle's own rules: what an advance changes of an order, and what it is called on record."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from compliance.audit import EventType
from orders.lifecycle import Change, advance
from orders.models import Order
from orders.states import ENDED, LIVE, PUBLIC_STATUS, TABLE, TERMINAL, WORKING, Event, PublicStatus, State

AT = datetime(2026, 11, 20, 9, 15, tzinfo=UTC)
PAIRS = [(state, event) for state in State for event in Event]


def order_in(state: State) -> Order:
    order = Order()
    order.__dict__["state"] = str(state)  # as the database would give it: the attribute itself is protected
    return order


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_an_advance_changes_all_or_nothing(state, event):
    order = order_in(state)
    change = advance(order, event, at=AT)
    target = TABLE.get((state, event))
    if target is None:
        assert change is None
        assert (order.state, order.ended_at) == (state, None)
        return
    assert (change.source, change.target) == (state, target)
    assert order.state == target
    assert order.ended_at == (AT if target in ENDED else None)
    assert change.recorded_as in EventType
    assert change.ends == (target in ENDED and state not in ENDED)


@pytest.mark.parametrize(
    ("source", "event", "name"),
    [
        ("CREATED", "submit", "ORDER_SENT"),
        ("SUBMITTING", "ack", "ORDER_PLACED"),
        ("SUBMITTING", "ambiguous", "SEND_UNCONFIRMED"),
        ("SUBMITTING", "def_reject", "ORDER_REJECTED"),
        ("UNKNOWN", "not_found", "ORDER_LOST"),
        ("UNKNOWN", "b_pending", "ORDER_PLACED"),
        ("ACKED", "b_trigger", "ORDER_TRIGGER_PENDING"),
        ("ACKED", "b_open", "ORDER_OPENED"),
        ("TRIGGER_PENDING", "b_open", "ORDER_TRIGGERED"),
        ("OPEN", "fill_part", "ORDER_PARTIALLY_FILLED"),
        ("OPEN", "fill_full", "ORDER_FILLED"),
        ("OPEN", "b_cancel", "ORDER_CANCELLED"),
        ("OPEN", "b_reject", "ORDER_REJECTED"),
        ("PARTIALLY_FILLED", "b_reject", "ORDER_CANCELLED"),  # what executed was not rejected
        ("REJECTED", "fill_part", "ORDER_CANCELLED"),
        ("OPEN", "b_expire", "ORDER_EXPIRED"),
    ],
)
def test_what_it_is_called_on_record(source, event, name):
    assert advance(order_in(State(source)), Event(event), at=AT).recorded_as == name


def test_only_a_transition_changes_the_state():
    order = order_in(State.CREATED)
    with pytest.raises(AttributeError):
        order.state = State.FILLED


def test_the_states_fall_into_classes():
    assert set(State) == LIVE | ENDED
    assert not LIVE & ENDED
    assert TERMINAL | {State.LOST} == ENDED
    assert WORKING < LIVE
    assert {target for (source, _), target in TABLE.items() if source is State.FILLED} == set()


def test_every_state_has_a_public_status_and_a_lost_order_counts_as_rejected():
    assert set(PUBLIC_STATUS) == set(State)
    assert set(PUBLIC_STATUS.values()) == set(PublicStatus)
    assert PUBLIC_STATUS[State.LOST] == PublicStatus.REJECTED
    assert PUBLIC_STATUS[State.UNKNOWN] == PublicStatus.PENDING


def test_nothing_but_the_lifecycle_fires_transitions():
    """Every transition method is an order's own; nobody else names one on an order."""
    names = "|".join(event.value for event in Event)
    call = re.compile(rf"\border\.({names})\(")
    root = Path(__file__).resolve().parents[1]
    callers = [
        path.name
        for path in root.rglob("*.py")
        if "tests" not in path.relative_to(root).parts and call.search(path.read_text())
    ]
    assert callers == []


def test_a_change_knows_whether_it_revives():
    assert Change(State.LOST, State.OPEN, EventType.ORDER_OPENED).revives
    assert not Change(State.LOST, State.FILLED, EventType.ORDER_FILLED).revives
    assert not Change(State.UNKNOWN, State.OPEN, EventType.ORDER_OPENED).revives
