"""All 156 (state, event) pairs against the real services and database, and the table against its page."""

from decimal import Decimal as D

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from orders.models import Order
from orders.services.observation import apply_book
from orders.services.resolution import COMPLETE_MISSES, mark_lost
from orders.services.submission import abandon_submissions, answer_place, claim_orders
from orders.states import ENDED, TABLE, Event, State
from orders.tests.factories import broker_id, fresh, place, row, see, send, trade
from orders.types import Accepted, BrokerStatus, Refused, Unconfirmed

pytestmark = pytest.mark.django_db

#: The table of docs/life-of-an-order.md, typed again: a change of the code must be meant.
PAGE = """
CREATED          SU AK RE .  .  AK TP OP PF FI CA RE EX
SUBMITTING       .  AK RE UN .  AK TP OP PF FI CA RE EX
UNKNOWN          .  AK .  .  LO AK TP OP PF FI CA RE EX
LOST             .  AK .  .  .  AK TP OP PF FI CA RE EX
ACKED            .  .  .  .  .  .  TP OP PF FI CA RE EX
TRIGGER_PENDING  .  .  .  .  .  .  .  OP PF FI CA RE EX
OPEN             .  .  .  .  .  .  .  .  PF FI CA RE EX
PARTIALLY_FILLED .  .  .  .  .  .  .  .  .  FI CA CA EX
FILLED           .  .  .  .  .  .  .  .  .  .  .  .  .
CANCELED         .  .  .  .  .  .  .  .  .  FI .  .  .
REJECTED         .  .  .  .  .  .  .  .  CA FI CA .  EX
EXPIRED          .  .  .  .  .  .  .  .  .  FI CA .  .
"""
SHORT = {
    "SU": "SUBMITTING", "AK": "ACKED", "RE": "REJECTED", "UN": "UNKNOWN", "LO": "LOST", "TP": "TRIGGER_PENDING",
    "OP": "OPEN", "PF": "PARTIALLY_FILLED", "FI": "FILLED", "CA": "CANCELED", "EX": "EXPIRED",
}  # fmt: skip
EXPECTED = {
    (State(line.split()[0]), event): State(SHORT[cell])
    for line in PAGE.strip().splitlines()
    for event, cell in zip(Event, line.split()[1:], strict=True)
    if cell != "."
}
PAIRS = [(state, event) for state in State for event in Event]


def test_the_table_is_the_page():
    assert len(PAIRS) == 156
    assert TABLE == EXPECTED


def order_in(state: State, **given: object) -> Order:
    """An order brought into `state` by services alone."""
    stop = {"type": "STOP_LIMIT", "stop_price": D(1000)} if state is State.TRIGGER_PENDING else {}
    order = place(**stop, **given)
    match state:
        case State.CREATED:
            pass
        case State.SUBMITTING:
            claim_orders(order.broker_account_id, limit=1, at=now())
        case State.UNKNOWN:
            send(order, Unconfirmed("timed out"))
        case State.LOST:
            send(order, Unconfirmed("timed out"))
            Order.objects.update(complete_misses=COMPLETE_MISSES)
            mark_lost([order.pk], at=now())
        case State.ACKED:
            send(order)
        case State.TRIGGER_PENDING:
            see(send(order), BrokerStatus.TRIGGER)
        case State.OPEN:
            see(send(order), BrokerStatus.OPEN)
        case State.PARTIALLY_FILLED:
            see(send(order), BrokerStatus.OPEN, [trade(order, 1, 4)])
        case State.FILLED:
            see(send(order), BrokerStatus.COMPLETE, [trade(order, 1, 10)])
        case State.CANCELED:
            see(send(order), BrokerStatus.CANCELLED)
        case State.REJECTED:
            see(send(order), BrokerStatus.REJECTED)
        case State.EXPIRED:
            see(send(order), BrokerStatus.LAPSED)
    order = fresh(order)
    assert order.state == state
    return order


def happen(order: Order, event: Event) -> None:
    """Let `event` happen through the service that it comes from in life."""
    done = [trade(order, 1, order.filled_quantity)] if order.filled_quantity else []
    match event:
        case Event.SUBMIT:
            claim_orders(order.broker_account_id, limit=1, at=now())
        case Event.ACK:
            answer_place(order.id, Accepted(broker_id(order)), at=now())
        case Event.DEF_REJECT:
            answer_place(order.id, Refused("InputException", "no"), at=now())
        case Event.AMBIGUOUS:
            answer_place(order.id, Unconfirmed("timed out"), at=now())
        case Event.NOT_FOUND:
            Order.objects.update(complete_misses=COMPLETE_MISSES)
            mark_lost([order.pk], at=now())
        case Event.B_PENDING:
            see(order, BrokerStatus.PENDING, done)
        case Event.B_TRIGGER:
            see(order, BrokerStatus.TRIGGER, done)
        case Event.B_OPEN:
            see(order, BrokerStatus.OPEN, done)
        case Event.FILL_PART:
            # OVERLAY says nothing of its own beyond "the broker has it", so only the execution speaks
            more = [trade(order, 2, 3)] if order.filled_quantity < order.quantity else []
            see(order, BrokerStatus.UNHEARD_OF, [*done, *more])
        case Event.FILL_FULL:
            rest = order.quantity - order.filled_quantity
            see(order, BrokerStatus.COMPLETE, [*done, *([trade(order, 2, rest)] if rest else [])])
        case Event.B_CANCEL:
            see(order, BrokerStatus.CANCELLED, done)
        case Event.B_REJECT:
            see(order, BrokerStatus.REJECTED, done)
        case Event.B_EXPIRE:
            see(order, BrokerStatus.LAPSED, done)


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=[f"{s}-{e.value}" for s, e in PAIRS])
def test_pair(state: State, event: Event, account, sbin, portfolio):
    order = order_in(state)
    happen(order, event)
    after = fresh(order)
    assert after.state == EXPECTED.get((state, event), state)
    assert trial_balance() == []
    held = open_reservations([order.pk]).get(order.pk, D(0))
    assert (held > 0) == (after.state not in ENDED)
    report = verify_chain(order_events(order.pk), head=after.event_hash)
    assert report.ok, report.message


def test_a_dead_worker_leaves_an_order_unknown_not_forgotten(account, sbin):
    from datetime import timedelta

    order = order_in(State.SUBMITTING)
    assert abandon_submissions(at=now()) == 0
    assert abandon_submissions(at=now() + timedelta(seconds=11)) == 1
    assert fresh(order).state == "UNKNOWN"


class TestTheDatabaseItself:
    """What holds even against code that goes round the services."""

    @pytest.mark.parametrize("state", list(State))
    def test_refuses_an_undeclared_state_change(self, state, account, sbin):
        order = order_in(state)
        declared = {target for (source, _), target in TABLE.items() if source is state}
        for target in set(State) - declared - {state}:
            with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
                Order.objects.filter(pk=order.pk).update(state=target)

    def test_the_trigger_has_exactly_the_declared_transitions(self):
        from orders.models import Order as Model

        (trigger,) = [t for t in Model._meta.triggers if t.name == "declared_transitions"]
        assert set(trigger.transitions) == {(str(s), str(t)) for (s, _), t in TABLE.items()}
        declared = {
            (str(t.source), str(t.target)) for t in Model().get_all_state_transitions() if t.source not in ("*", "+")
        }
        assert declared == set(trigger.transitions)

    def test_refuses_to_lose_an_order(self, account, sbin):
        order = place()
        with pytest.raises(DatabaseError, match="Cannot delete"), transaction.atomic():
            Order.objects.filter(pk=order.pk).delete()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with pytest.raises(DatabaseError, match="Cannot truncate"), transaction.atomic():
                cursor.execute("TRUNCATE orders_order CASCADE")

    def test_an_execution_counts_once(self, account, sbin):
        from orders.models import Execution

        order = see(send(place()), BrokerStatus.OPEN, [trade(place(), 1, 4)], filled=0)
        see(order, BrokerStatus.OPEN, [trade(order, 7, 4)])
        twin = Execution.objects.get(trade_id="7")
        twin.pk = None
        with pytest.raises(IntegrityError, match="execution_once"), transaction.atomic():
            twin.save(force_insert=True)


def test_a_row_of_an_order_that_is_not_ours_never_moves_ours(account, sbin, broker_account):
    order = send(place())
    stranger = row(order, BrokerStatus.CANCELLED)
    from dataclasses import replace

    apply_book(broker_account.pk, [replace(stranger, broker_order_id="other", tags=())], [], at=now())
    assert fresh(order).state == "ACKED"
