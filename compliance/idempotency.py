"""Answering a repeated request with the first answer, stored in the transaction that did the work."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from oms.lib.db import Read, fetch_rows, nothing_asked, read, require_transaction
from oms.lib.errors import DomainError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SentKey:
    """A key as one principal sent it, with the SHA-256 (32 bytes) of the request that came with it."""

    principal: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer: HTTP status and body, to the byte."""

    status: int
    body: bytes


class KeyReused(DomainError):
    """The same key came with another request."""

    code = "idempotency_key_reused"
    title = "This idempotency key belongs to another request"


class AlreadyAnswered(Exception):
    """The request was carried out before, perhaps a moment ago by a concurrent twin; `stored` is its answer."""

    def __init__(self, stored: StoredAnswer) -> None:
        super().__init__("already answered")
        self.stored = stored


@dataclass(frozen=True, slots=True)
class Idempotent(Generic[T]):
    """A key as it was sent, together with how to turn the result into the answer to store."""

    sent_key: SentKey
    respond: Callable[[T], StoredAnswer]


def check(sent_key: SentKey) -> None:
    """Refuse to do the work twice. Call it once the account is locked: a concurrent twin waits for that
    lock and then finds the first one's answer here.

    Raises AlreadyAnswered with the stored answer, KeyReused when the key came with another body.
    """
    require_transaction()
    stored = read(stored_answers([sent_key])).get(sent_key)
    if isinstance(stored, KeyReused):
        raise stored
    if stored is not None:
        raise AlreadyAnswered(stored)


def stored_answers(sent_keys: Iterable[SentKey]) -> Read[dict[SentKey, StoredAnswer | KeyReused]]:
    """The answer stored for each key, or KeyReused when its key came with another body. New ones are absent."""
    asked = list(sent_keys)

    def parse(rows: list[tuple[Any, ...]]) -> dict[SentKey, StoredAnswer | KeyReused]:
        known = {(principal, key): rest for principal, key, *rest in rows}
        found: dict[SentKey, StoredAnswer | KeyReused] = {}
        for sent_key in asked:
            if (sent_key.principal, sent_key.key) in known:
                body_hash, status, body = known[sent_key.principal, sent_key.key]
                is_same = bytes(body_hash) == sent_key.body_hash
                found[sent_key] = StoredAnswer(status, bytes(body)) if is_same else KeyReused(REUSED)
        return found

    stored = Read(
        """SELECT t.principal, t.key, t.body_hash, t.status, t.body FROM compliance_idempotencykey AS t
           JOIN unnest(%(principals)s::text[], %(keys)s::text[]) AS k(principal, key)
             ON t.principal = k.principal AND t.key = k.key""",
        {"principals": [sent_key.principal for sent_key in asked], "keys": [sent_key.key for sent_key in asked]},
        parse,
    )
    return stored if asked else nothing_asked(stored)


def store(answers: Mapping[SentKey, StoredAnswer], *, at: datetime) -> None:
    """Store answers in the transaction that did the work, in one statement.

    Raises KeyReused when a request for another account took one of the keys meanwhile: nothing of the
    transaction may stand then.
    """
    require_transaction()
    # In one order everywhere: two that store the same keys never wait for each other in a circle.
    rows = sorted(answers.items(), key=lambda item: (item[0].principal, item[0].key))
    taken = fetch_rows(
        """INSERT INTO compliance_idempotencykey (principal, key, body_hash, status, body, created_at)
           SELECT *, %(at)s::timestamptz FROM unnest(
               %(principals)s::text[], %(keys)s::text[], %(hashes)s::bytea[], %(statuses)s::smallint[],
               %(bodies)s::bytea[])
           ON CONFLICT (principal, key) DO NOTHING RETURNING id""",
        {
            "principals": [sent_key.principal for sent_key, _ in rows], "keys": [sent_key.key for sent_key, _ in rows],
            "hashes": [sent_key.body_hash for sent_key, _ in rows], "statuses": [answer.status for _, answer in rows],
            "bodies": [answer.body for _, answer in rows], "at": at,
        },
    )  # fmt: skip
    if len(taken) < len(rows):
        raise KeyReused(REUSED)


REUSED = "This Idempotency-Key was used for a different request. Use a new key for a new request."
