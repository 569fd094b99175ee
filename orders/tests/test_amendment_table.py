"""All 63 (state, event) pairs of an amendment against the real services and database, for both kinds."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import DatabaseError, connection, transaction

from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from orders.lifecycle import advance_amendment
from orders.models import Amendment
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.outcomes import SETTLES_WITHIN
from orders.services.amendments.sending import Dispatch, abandon_amendments, answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.states import (
    AMENDMENT_TABLE,
    CLOSED_AMENDMENTS,
    EFFECT_DUE,
    ENDED,
    OPEN_AMENDMENTS,
    AmendmentEvent,
    AmendmentState,
)
from orders.tests.factories import TRADER, fresh, place, row, see, send, trade
from orders.types import Accepted, BrokerStatus, Modification, NotSent, Refused, Unconfirmed, Variety

pytestmark = pytest.mark.django_db
S, E = AmendmentState, AmendmentEvent

#: The table of docs/life-of-an-order.md, typed again: a change of the code must be meant.
PAGE = """
QUEUED     SG .  .  .  .  CO .  RE SU
SENDING    .  ST UN QU RE CO .  RE .
SENT       .  .  .  .  .  CO QU RE .
UNKNOWN    .  .  .  .  .  CO QU RE .
CONFIRMED  .  .  .  .  .  .  .  .  .
REJECTED   .  .  .  .  .  .  .  .  .
SUPERSEDED .  .  .  .  .  .  .  .  .
"""
SHORT = {
    "QU": S.QUEUED, "SG": S.SENDING, "ST": S.SENT, "UN": S.UNKNOWN, "CO": S.CONFIRMED, "RE": S.REJECTED,
    "SU": S.SUPERSEDED,
}  # fmt: skip
EXPECTED = {
    (S(line.split()[0]), event): SHORT[cell]
    for line in PAGE.strip().splitlines()
    for event, cell in zip(E, line.split()[1:], strict=True)
    if cell != "."
}
PAIRS = [(state, event) for state in S for event in E]
#: A cancel is never overtaken. A modification goes no second time, and a row confirms none that was not sent.
OF_CANCEL = [(s, e) for s, e in PAIRS if s is not S.SUPERSEDED and e is not E.OVERTAKE]
OF_MODIFY = [(s, e) for s, e in PAIRS if not (e is E.GO_AGAIN and s in EFFECT_DUE) and (s, e) != (S.QUEUED, E.DONE)]
CASES = [("CANCEL", *pair) for pair in OF_CANCEL] + [("MODIFY", *pair) for pair in OF_MODIFY]


def test_the_table_is_the_page_and_every_pair_is_tried():
    assert len(PAIRS) == 63
    assert AMENDMENT_TABLE == EXPECTED
    assert {*OF_CANCEL, *OF_MODIFY} == set(PAIRS)
    assert {state for state, _ in AMENDMENT_TABLE} == OPEN_AMENDMENTS


def amendment_in(state: AmendmentState, kind: str) -> Amendment:
    """An amendment of a working order, brought into `state` by services alone."""
    order = see(send(place()), BrokerStatus.OPEN)
    if kind == "MODIFY":
        request_modify(order.pk, Modification(price=D(990)), actor=TRADER, at=now(), user=None)
    else:
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
    amendment = Amendment.objects.get()
    if state is S.SUPERSEDED:
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
    elif state is not S.QUEUED:
        happen(amendment, E.SEND)
    match state:
        case S.SENT:
            happen(amendment, E.RECEIVED)
        case S.UNKNOWN:
            happen(amendment, E.AMBIGUOUS)
        case S.CONFIRMED:
            happen(amendment, E.DONE)
        case S.REJECTED:
            happen(amendment, E.REFUSED)
    amendment = Amendment.objects.get(pk=amendment.pk)
    assert amendment.state == state
    return amendment


def happen(amendment: Amendment, event: AmendmentEvent) -> None:
    """Let `event` happen through the service that it comes from in life."""
    amendment = Amendment.objects.get(pk=amendment.pk)
    order = fresh(amendment.order)
    terms = amendment.terms if amendment.kind == "MODIFY" else None
    dispatch = Dispatch(amendment.id, amendment.attempts, order.id, order.broker_order_id, Variety.REGULAR, terms, None)
    match event:
        case E.SEND:
            claim_amendments(order.broker_account_id, limit=10, at=now())
        case E.RECEIVED:
            answer_amendment(dispatch, Accepted(order.broker_order_id), at=now())
        case E.AMBIGUOUS:
            answer_amendment(dispatch, Unconfirmed("timed out"), at=now())
        case E.NOT_TAKEN:
            answer_amendment(dispatch, NotSent("connection refused"), at=now())
        case E.REFUSED:
            answer_amendment(dispatch, Refused("InputException", "no"), at=now())
        case E.DONE if terms is not None:
            see(order, BrokerStatus.OPEN, price=terms.price)
        case E.DONE:
            see(order, BrokerStatus.CANCELLED)
        case E.GO_AGAIN:
            late = now() + 2 * SETTLES_WITHIN
            apply_book(order.broker_account_id, [row(order, BrokerStatus.OPEN)], [], at=late, source="LOOK")
        case E.GIVE_UP:
            see(order, BrokerStatus.COMPLETE, [trade(order, 1, order.quantity)])
        case E.OVERTAKE:
            request_cancel(order.pk, actor=TRADER, at=now(), user=None)


@pytest.mark.parametrize(("kind", "state", "event"), CASES, ids=[f"{k}-{s}-{e.value}" for k, s, e in CASES])
def test_pair(kind, state, event, account, sbin, portfolio):
    before = amendment_in(state, kind)
    happen(before, event)
    after = Amendment.objects.get(pk=before.pk)
    assert after.state == EXPECTED.get((state, event), state)
    assert after.steps == before.steps + ((state, event) in EXPECTED)
    assert trial_balance() == []
    order = fresh(before.order)
    assert (open_reservations([order.pk]).get(order.pk, D(0)) > 0) == (order.state not in ENDED)
    assert verify_chain(order_events(order.pk), head=order.event_hash).ok


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_an_advance_moves_and_counts_or_leaves_all_as_it_was(state, event):
    amendment, at = Amendment(), now()
    amendment.__dict__["state"] = str(state)  # as the database would give it: the attribute itself is protected
    moved = advance_amendment(amendment, event, at=at)
    assert moved == ((state, event) in EXPECTED)
    assert amendment.state == EXPECTED.get((state, event), state)
    assert (amendment.steps, amendment.updated_at) == ((1, at) if moved else (0, None))


def test_an_order_that_never_left_takes_new_terms_without_a_call(account, sbin):
    """DONE straight from QUEUED: the one way in which a modification that was not sent is confirmed."""
    order = place()
    request_modify(order.pk, Modification(price=D(990)), actor=TRADER, at=now(), user=None)
    amendment = Amendment.objects.get()
    assert (amendment.state, amendment.steps, amendment.attempts, fresh(order).price) == ("CONFIRMED", 1, 0, 990)


def test_a_dead_worker_leaves_an_amendment_unknown_not_forgotten(account, sbin):
    amendment_in(S.SENDING, "CANCEL")
    assert abandon_amendments(at=now()) == 0
    assert abandon_amendments(at=now() + timedelta(seconds=11)) == 1
    assert Amendment.objects.get().state == "UNKNOWN"


class TestTheDatabaseItself:
    """What holds even against code that goes round the services."""

    @pytest.mark.parametrize("state", sorted(OPEN_AMENDMENTS))
    def test_refuses_an_undeclared_state_change(self, state, account, sbin):
        amendment = amendment_in(state, "CANCEL")
        declared = {target for (source, _), target in EXPECTED.items() if source is state}
        for target in set(S) - declared - {state}:
            with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
                Amendment.objects.filter(pk=amendment.pk).update(state=target, steps=99)

    @pytest.mark.parametrize("state", sorted(OPEN_AMENDMENTS))
    def test_refuses_a_state_change_that_is_made_directly(self, state, account, sbin):
        amendment = amendment_in(state, "CANCEL")
        for target in {target for (source, _), target in EXPECTED.items() if source is state}:
            with pytest.raises(DatabaseError, match="changed directly"), transaction.atomic():
                Amendment.objects.filter(pk=amendment.pk).update(state=target)

    @pytest.mark.parametrize("state", sorted(CLOSED_AMENDMENTS))
    @pytest.mark.parametrize("change", [{"state": "QUEUED", "steps": 99}, {"message": "else"}, {"attempts": 9}])
    def test_refuses_any_change_of_a_closed_one(self, state, change, account, sbin):
        amendment = amendment_in(state, "MODIFY")
        with pytest.raises(DatabaseError, match=f"closed as {state}"), transaction.atomic():
            Amendment.objects.filter(pk=amendment.pk).update(**change)

    @pytest.mark.parametrize("change", [{"price": D(1)}, {"quantity": D(99)}, {"kind": "CANCEL"}, {"reason": "other"}])
    def test_refuses_to_change_what_was_asked(self, change, account, sbin):
        amendment = amendment_in(S.QUEUED, "MODIFY")
        with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
            Amendment.objects.filter(pk=amendment.pk).update(**change)

    def test_refuses_to_lose_one(self, account, sbin):
        amendment = amendment_in(S.QUEUED, "CANCEL")
        with pytest.raises(DatabaseError, match="Cannot delete"), transaction.atomic():
            Amendment.objects.filter(pk=amendment.pk).delete()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            with pytest.raises(DatabaseError, match="Cannot truncate"), transaction.atomic():
                cursor.execute("TRUNCATE orders_amendment")

    def test_the_trigger_has_exactly_the_declared_transitions(self):
        (trigger,) = [t for t in Amendment._meta.triggers if t.name == "declared_transitions"]
        assert set(trigger.transitions) == {(str(s), str(t)) for (s, _), t in AMENDMENT_TABLE.items()}
        declared = {
            (str(t.source), str(t.target))
            for t in Amendment().get_all_state_transitions()
            if t.source not in ("*", "+")
        }
        assert declared == set(trigger.transitions)

    def test_the_model_protects_its_state(self):
        with pytest.raises(AttributeError, match="Direct state modification"):
            Amendment().state = S.SENT
