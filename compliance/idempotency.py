"""Answering a repeated request with the first answer, stored in the transaction that did the work."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oms.lib.db import fetch_rows, require_transaction
from oms.lib.errors import DomainError


@dataclass(frozen=True, slots=True)
class IdempotencyClaim:
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
class Idempotent:
    """A claim together with how to turn the result into the answer to store."""

    claim: IdempotencyClaim
    respond: Callable[[Any], StoredAnswer]


def check(claim: IdempotencyClaim) -> None:
    """Refuse to do the work twice. Call it once the account is locked: a concurrent twin waits for that
    lock and then finds the first one's answer here.

    Raises AlreadyAnswered with the stored answer, KeyReused when the key came with another body.
    """
    require_transaction()
    stored = replay(claim)
    if stored is not None:
        raise AlreadyAnswered(stored)


def store(claim: IdempotencyClaim, answer: StoredAnswer, *, at: datetime) -> None:
    """Store the answer in the transaction that did the work. Raises KeyReused when a request for another
    account took the key meanwhile.
    """
    require_transaction()
    taken = fetch_rows(
        """INSERT INTO compliance_idempotencykey (principal, key, body_hash, status, body, created_at)
           VALUES (%(principal)s, %(key)s, %(hash)s, %(status)s, %(body)s, %(at)s)
           ON CONFLICT (principal, key) DO NOTHING RETURNING id""",
        {
            "principal": claim.principal, "key": claim.key, "hash": claim.body_hash,
            "status": answer.status, "body": answer.body, "at": at,
        },
    )  # fmt: skip
    if not taken:
        raise KeyReused(_REUSED)


_REUSED = "This Idempotency-Key was used for a different request. Use a new key for a new request."


def replay(claim: IdempotencyClaim) -> StoredAnswer | None:
    """The stored answer, or None for a key not seen. Raises KeyReused when the body differs."""
    rows = fetch_rows(
        """SELECT body_hash, status, body FROM compliance_idempotencykey
           WHERE principal = %(principal)s AND key = %(key)s""",
        {"principal": claim.principal, "key": claim.key},
    )
    if not rows:
        return None
    body_hash, status, body = rows[0]
    if bytes(body_hash) != claim.body_hash:
        raise KeyReused(_REUSED)
    return StoredAnswer(status, bytes(body))
