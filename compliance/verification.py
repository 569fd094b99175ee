"""Recomputing chains of events from the stored bytes, as an auditor would."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from compliance.canonical import GENESIS, chain_hash
from compliance.models import OrderEvent
from oms.lib.clock import rfc3339

#: Columns that repeat what the hashed bytes say: reports and filters read them, so they must say the same.
_MIRRORED = (
    "seq", "event_type", "order_id", "account_id", "trade_date", "recorded_at", "broker_time",
    "actor_type", "actor_id", "channel", "session_id", "api_key_id", "source_ip",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Whether a chain is whole, how many events were read, and the first place where it is not."""

    ok: bool
    count: int
    first_wrong_seq: int | None = None
    message: str = "every hash recomputes from the stored bytes"


def verify_chain(events: Iterable[OrderEvent], *, head: bytes | None = None) -> ChainReport:
    """Check events given oldest first: gapless, linked, hashed right, columns true to the bytes.

    `head` is the hash that the order (or account) row holds; with it a cut tail is noticed too.
    """
    previous, count = GENESIS, 0
    for count, event in enumerate(events, start=1):
        wrong = _first_fault(event, previous, count)
        if wrong:
            return ChainReport(False, count, count, wrong)
        previous = bytes(event.hash)
    if head is not None and bytes(head) != previous:
        return ChainReport(False, count, count + 1, "the last events are missing: the head of the chain is newer")
    return ChainReport(True, count)


def _first_fault(event: OrderEvent, previous: bytes, expected_seq: int) -> str:
    if event.seq != expected_seq:
        return f"event {expected_seq} is missing or out of place (found {event.seq})"
    if bytes(event.prev_hash) != previous:
        return f"event {event.seq} does not follow the one before it"
    if chain_hash(previous, bytes(event.c14n)) != bytes(event.hash):
        return f"event {event.seq} was changed: its hash does not recompute"
    try:
        said = _said(event.document)
    except (ValueError, KeyError, TypeError):
        return f"event {event.seq}: the hashed bytes are not an event"
    for column in _MIRRORED:
        if str(said[column]) != _column_text(getattr(event, column)):
            return f"event {event.seq}: column {column} differs from what was hashed"
    return ""


def _said(document: dict[str, Any]) -> dict[str, Any]:
    """The hashed document by column. Raises KeyError or TypeError when it is not one that `audit` wrote."""
    actor = document["actor"]
    said = {**document, **actor, "event_type": document["type"], "actor_type": actor["type"], "actor_id": actor["id"]}
    return {column: said[column] for column in _MIRRORED}


def _column_text(value: Any) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)
