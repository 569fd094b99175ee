"""Events as the outside sees them: nothing left out of the proof, nothing shown that is empty."""

import hashlib
import json

import pytest

from compliance.api.documents import REQUIREMENT_NAMES, chained_event_document, event_document
from compliance.audit import EventDraft, EventType, record
from compliance.selectors import account_events
from oms.lib.actors import SYSTEM, Actor, ActorType
from oms.lib.clock import now

pytestmark = pytest.mark.django_db
TRADER = Actor(ActorType.TRADER, "7", "API", session_id="s1", source_ip="203.0.113.9")


@pytest.fixture
def recorded(account):
    """Two events after DEMO's deposit: one of the system, one of a trader with everything set."""
    account.refresh_from_db()
    record([EventDraft(account, EventType.CORRECTION, {"note": "₹1"})], actor=SYSTEM, at=now())
    draft = EventDraft(account, EventType.ORDER_PLACED, {"n": 1}, broker_time="2026-11-20 09:15:00")
    record([draft], actor=TRADER, at=now())
    return list(account_events(account.pk))


def test_the_fact_and_who_caused_it(recorded):
    document = event_document(recorded[-1])
    assert (document["eventType"], document["seq"], document["data"]) == ("ORDER_PLACED", 3, {"n": 1})
    assert document["actor"] == {"type": "TRADER", "id": "7", "channel": "API"}
    assert (document["category"], document["brokerTime"]) == ("ORDER_PLACED", "2026-11-20 09:15:00")
    assert document["id"] == str(recorded[-1].id)


def test_what_is_not_set_is_absent(recorded):
    plain = chained_event_document(recorded[1])
    assert not {"brokerTime", "category", "sessionId", "sourceIp"} & plain.keys()
    full = chained_event_document(recorded[2])
    assert (full["sessionId"], full["sourceIp"]) == ("s1", "203.0.113.9")


def test_anybody_can_check_a_document_with_what_it_holds(recorded):
    previous = bytes(32)
    for document in map(chained_event_document, recorded):
        assert document["prevHash"] == previous.hex()
        c14n = document["c14n"].encode()
        previous = hashlib.sha256(b"\x00" + previous + c14n).digest()
        assert document["hash"] == previous.hex()
        hashed = json.loads(c14n)
        assert (hashed["type"], hashed["seq"], hashed["data"]) == (
            document["eventType"], document["seq"], document["data"],
        )  # fmt: skip


def test_every_event_has_a_document(account, recorded):
    """Also those that the requirement has no word for."""
    for kind in EventType:
        account.refresh_from_db()
        record([EventDraft(account, kind)], actor=SYSTEM, at=now())
    shown = {
        document["eventType"]: document.get("category") for document in map(event_document, account_events(account.pk))
    }
    assert shown.keys() >= set(EventType.values)
    assert {kind: name for kind, name in shown.items() if name} == REQUIREMENT_NAMES
    assert set(REQUIREMENT_NAMES.values()) == {
        "ORDER_CREATED", "ORDER_REJECTED", "ORDER_PLACED", "ORDER_MODIFIED", "ORDER_CANCELLED", "ORDER_FILLED",
        "ORDER_EXPIRED", "ORDER_RECONCILED",
    }  # fmt: skip
