"""The one writer of the event log.

`record` appends facts to the chains of orders or accounts, in the caller's transaction, with the caller holding
the subject's row lock; `record_on` is the same for one fact on one account. An order's head moves in memory and
the caller saves it with whatever else changed. An account's head is moved by the database, with the event
(`migrations/0004_one_chain_per_account.py`): nobody saves it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol
from uuid import UUID

from compliance.canonical import canonical_bytes, chain_hash
from compliance.models import Account, EventType, OrderEvent
from oms.lib.actors import Actor
from oms.lib.clock import ist_date
from oms.lib.db import insert_rows, require_transaction

__all__ = ["Chained", "EventDraft", "EventType", "record", "record_on"]

FORMAT_VERSION = 1
COLUMNS = (
    "trade_date", "order_id", "account_id", "seq", "event_type", "actor_type", "actor_id", "session_id",
    "api_key_id", "source_ip", "channel", "recorded_at", "broker_time", "c14n", "prev_hash", "hash", "xid",
)  # fmt: skip


class Chained(Protocol):
    """A row that heads a chain of events: an order, or an account for what concerns no order."""

    event_seq: int

    @property
    def event_hash(self) -> bytes | memoryview: ...

    @event_hash.setter
    def event_hash(self, digest: bytes) -> None: ...

    @property
    def chain(self) -> tuple[UUID | None, int]:
        """(order id or None, account id)."""
        ...


@dataclass(frozen=True, slots=True)
class EventDraft:
    """A fact about to be recorded. `data` holds everything that a report will need of it.

    `broker_time` is the broker's or exchange's own timestamp, as given: kept, never trusted for order.
    """

    subject: Chained
    type: EventType
    data: dict[str, Any] = field(default_factory=dict)
    actor: Actor | None = None
    broker_time: str = ""


def record(drafts: Iterable[EventDraft], *, actor: Actor, at: datetime) -> None:
    """Append `drafts` in order, all as of `at`, by `actor` unless a draft names its own.

    Raises IntegrityError when the month's partition is missing, or when an event does not follow the head of its
    chain: the subject was read before somebody else recorded, so it was not locked.
    """
    require_transaction()
    insert_rows(OrderEvent, COLUMNS, [_chained(draft, draft.actor or actor, at) for draft in drafts])


def record_on(account: Account, type: EventType, data: dict[str, Any], *, actor: Actor, at: datetime) -> None:
    """Record one fact on the chain of an account that the caller holds locked; its head moves. Raises as `record`."""
    record([EventDraft(account, type, data)], actor=actor, at=at)


@dataclass(slots=True)
class _Row:
    """An event about to be inserted: a model's object costs ten times as much, and nobody reads it again."""

    trade_date: date
    order_id: UUID | None
    account_id: int
    seq: int
    event_type: EventType
    actor_type: str
    actor_id: str
    session_id: str
    api_key_id: str
    source_ip: str
    channel: str
    recorded_at: datetime
    broker_time: str
    c14n: bytes
    prev_hash: bytes
    hash: bytes
    xid: int


def _chained(draft: EventDraft, actor: Actor, at: datetime) -> _Row:
    subject = draft.subject
    order_id, account_id = subject.chain
    seq = subject.event_seq + 1
    prev_hash = bytes(subject.event_hash)
    trade_date = ist_date(at)
    c14n = canonical_bytes(
        {
            "v": FORMAT_VERSION,
            "order_id": order_id,
            "account_id": str(account_id),
            "seq": seq,
            "type": draft.type,
            "recorded_at": at,
            "trade_date": trade_date,
            "broker_time": draft.broker_time,
            "actor": {
                "type": actor.type, "id": actor.id, "channel": actor.channel, "session_id": actor.session_id,
                "api_key_id": actor.api_key_id, "source_ip": actor.source_ip,
            },
            "data": draft.data,
        }
    )  # fmt: skip
    digest = chain_hash(prev_hash, c14n)
    subject.event_seq, subject.event_hash = seq, digest
    return _Row(
        trade_date=trade_date, order_id=order_id, account_id=account_id, seq=seq, event_type=draft.type,
        actor_type=actor.type, actor_id=actor.id, session_id=actor.session_id, api_key_id=actor.api_key_id,
        source_ip=actor.source_ip, channel=actor.channel, recorded_at=at, broker_time=draft.broker_time,
        c14n=c14n, prev_hash=prev_hash, hash=digest, xid=0,
    )  # fmt: skip
