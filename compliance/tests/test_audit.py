"""Recording: what an event holds, in which chain it lands, and that nobody records outside a transaction."""

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, transaction

from compliance import audit
from compliance.audit import EventDraft, EventType
from compliance.models import Account, OrderEvent
from compliance.selectors import account_events, order_events
from compliance.verification import verify_chain
from oms.lib.actors import Actor, ActorType
from oms.lib.clock import now
from orders.tests.factories import place

SOMEBODY = Actor(ActorType.TRADER, "7", "API", session_id="s1", api_key_id="k1", source_ip="203.0.113.9")


@pytest.fixture
def account(account):
    """As the database has it: opening it recorded events, which moved the head of its chain."""
    return Account.objects.get(pk=account.pk)


def recorded(account, *drafts, at=None):
    with transaction.atomic():
        audit.record(drafts, actor=SOMEBODY, at=at or now())
    return list(account_events(account.pk))


def test_an_event_says_who_what_when_and_from_where(account):
    seq = account.event_seq
    at = datetime(2026, 11, 20, 18, 45, 0, 123456, UTC)  # 21 November in India
    event = recorded(account, EventDraft(account, EventType.LIMIT_CHANGED, {"price": 1}, broker_time="b"), at=at)[-1]
    assert (event.seq, event.event_type, str(event.trade_date)) == (seq + 1, "LIMIT_CHANGED", "2026-11-21")
    assert event.document == {
        "v": 1, "order_id": None, "account_id": str(account.pk), "seq": seq + 1, "type": "LIMIT_CHANGED",
        "recorded_at": "2026-11-20T18:45:00.123456Z", "trade_date": "2026-11-21", "broker_time": "b",
        "actor": {
            "type": "TRADER", "id": "7", "channel": "API", "session_id": "s1", "api_key_id": "k1",
            "source_ip": "203.0.113.9",
        },
        "data": {"price": 1},
    }  # fmt: skip
    assert event.recorded_at == at
    assert (event.actor_type, event.actor_id, event.source_ip, event.channel) == ("TRADER", "7", "203.0.113.9", "API")


def test_a_draft_may_name_an_actor_of_its_own(account):
    own = Actor(ActorType.OFFICER, "9", "ADMIN")
    events = recorded(
        account, EventDraft(account, EventType.LIMIT_CHANGED), EventDraft(account, EventType.CORRECTION, actor=own)
    )
    assert [(e.actor_type, e.actor_id) for e in events[-2:]] == [("TRADER", "7"), ("OFFICER", "9")]


def test_orders_and_accounts_have_chains_of_their_own(account, sbin):
    first, second = place(), place()
    account = Account.objects.get(pk=account.pk)
    recorded(account, EventDraft(account, EventType.LIMIT_CHANGED))
    for events, head in (
        (order_events(first.pk), first.event_hash),
        (order_events(second.pk), second.event_hash),
        (account_events(account.pk), account.event_hash),
    ):
        report = verify_chain(events, head=head)
        assert report.ok, report.message
        assert report.count > 0


def test_nothing_is_recorded_outside_a_transaction(committed_db):
    house = Account.objects.get(kind="HOUSE")
    with pytest.raises(RuntimeError, match="transaction"):
        audit.record([EventDraft(house, EventType.CORRECTION)], actor=SOMEBODY, at=now())
    assert not OrderEvent.objects.exists()


def test_a_writer_that_did_not_read_the_head_under_lock_is_refused(account):
    """Two writers from one head would fork the chain: the second one's number is taken."""
    stale = Account.objects.get(pk=account.pk)
    recorded(account, EventDraft(account, EventType.LIMIT_CHANGED))
    with pytest.raises(DatabaseError, match="account_id_seq"), transaction.atomic():
        audit.record([EventDraft(stale, EventType.CORRECTION)], actor=SOMEBODY, at=now())


def test_no_events_are_recorded_for_nothing(account):
    before = OrderEvent.objects.count()
    with transaction.atomic():
        audit.record([], actor=SOMEBODY, at=now())
    assert OrderEvent.objects.count() == before
