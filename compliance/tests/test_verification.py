"""Each way of tampering with a chain is found, and at the right place."""

import hashlib
import json
from copy import copy
from datetime import UTC, datetime

import pytest

from compliance.canonical import canonical_bytes, chain_hash
from compliance.models import OrderEvent
from compliance.selectors import order_events
from compliance.verification import verify_chain
from orders.models import Order
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(account, sbin) -> Order:
    """A filled order: six events."""
    sent = send(place())
    return fresh(see(sent, BrokerStatus.COMPLETE, [trade(sent, 1, 10)]))


@pytest.fixture
def chain(order: Order) -> list[OrderEvent]:
    events = list(order_events(order.pk))
    assert len(events) == 6
    return events


def rehash(event: OrderEvent, **document) -> OrderEvent:
    """The event rewritten by somebody who knows how the hash is made."""
    forged = copy(event)
    forged.c14n = canonical_bytes({**event.document, **document})
    forged.hash = chain_hash(bytes(forged.prev_hash), forged.c14n)
    return forged


def test_an_untouched_chain_is_whole(order, chain):
    report = verify_chain(chain, head=order.event_hash)
    assert (report.ok, report.count, report.first_wrong_seq) == (True, 6, None)


def test_an_auditor_needs_nothing_of_ours(order, chain):
    """Recomputed with the standard library alone."""
    previous = bytes(32)
    for number, event in enumerate(chain, start=1):
        assert json.loads(bytes(event.c14n))["seq"] == number
        previous = hashlib.sha256(b"\x00" + previous + bytes(event.c14n)).digest()
        assert previous == bytes(event.hash)
    assert previous == bytes(order.event_hash)


def test_an_empty_chain_is_whole_only_at_genesis(order):
    assert verify_chain([]).ok
    assert verify_chain([], head=bytes(32)).ok
    assert verify_chain([], head=order.event_hash).first_wrong_seq == 1


@pytest.mark.parametrize("at", range(6))
class TestMutations:
    def found(self, order, events, seq, words):
        report = verify_chain(events, head=order.event_hash)
        assert (report.ok, report.first_wrong_seq) == (False, seq)
        assert words in report.message

    def test_edited_bytes(self, order, chain, at):
        chain[at].c14n = bytes(chain[at].c14n).replace(b'"v":1', b'"v":2')
        self.found(order, chain, at + 1, "does not recompute")

    def test_edited_and_rehashed(self, order, chain, at):
        """The next event (or the head) still carries the old hash."""
        chain[at] = rehash(chain[at], data={"price": "1"})
        last = at == len(chain) - 1
        words = "head of the chain" if last else "does not follow"
        self.found(order, chain, at + 2, words)

    def test_deleted(self, order, chain, at):
        del chain[at]
        last = at == len(chain)
        self.found(order, chain, at + 1, "are missing" if last else "is missing")

    def test_inserted(self, order, chain, at):
        chain.insert(at, copy(chain[at]))
        self.found(order, chain, at + 2, "out of place")

    def test_inserted_and_renumbered(self, order, chain, at):
        twin = copy(chain[at])
        twin.seq += 1
        for later in chain[at + 1 :]:
            later.seq += 1
        chain.insert(at + 1, twin)
        self.found(order, chain, at + 2, "does not follow")

    def test_reordered(self, order, chain, at):
        other = (at + 1) % len(chain)
        chain[at], chain[other] = chain[other], chain[at]
        self.found(order, chain, min(at, other) + 1, "out of place")

    def test_reordered_and_renumbered(self, order, chain, at):
        other = (at + 1) % len(chain)
        chain[at], chain[other] = chain[other], chain[at]
        chain[at].seq, chain[other].seq = chain[other].seq, chain[at].seq
        self.found(order, chain, min(at, other) + 1, "does not follow")

    def test_cut_tail(self, order, chain, at):
        self.found(order, chain[:at], at + 1, "the last events are missing")

    def test_a_cut_tail_is_not_seen_without_the_head(self, chain, at):
        assert verify_chain(chain[:at]).ok

    def test_a_column_that_differs_from_the_bytes(self, order, chain, at):
        """Reports and filters read the columns: they must say what was hashed."""
        for column, value in OTHER_VALUES.items():
            forged = [copy(event) for event in chain]
            setattr(forged[at], column, value)
            self.found(order, forged, at + 1, f"column {column} differs")

    def test_bytes_that_are_no_event_of_ours(self, order, chain, at):
        for content in (b"", b"not json", b"[]", b"{}", b'{"type":"X"}', b'{"type":"X","actor":null}'):
            forged = [copy(event) for event in chain]
            forged[at].c14n = content
            forged[at].hash = chain_hash(bytes(forged[at].prev_hash), content)
            self.found(order, forged, at + 1, "not an event")


OTHER_VALUES = {
    "event_type": "CORRECTION", "account_id": 999, "order_id": None, "trade_date": "1999-01-01",
    "recorded_at": datetime(1999, 1, 1, tzinfo=UTC), "broker_time": "1999", "actor_type": "OFFICER",
    "actor_id": "somebody else", "session_id": "s", "api_key_id": "k", "source_ip": "203.0.113.1", "channel": "ADMIN",
}  # fmt: skip
