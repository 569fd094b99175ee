"""A key answers once: the same answer to the byte, and never for another request."""

import pytest
from django.db import transaction

from compliance.idempotency import (
    AlreadyAnswered,
    IdempotencyClaim,
    KeyReused,
    StoredAnswer,
    check,
    store,
    stored_answers,
)
from oms.lib.clock import now
from oms.lib.db import read

pytestmark = pytest.mark.django_db

CLAIM = IdempotencyClaim("user:1", "k1", bytes(32))
ANSWER = StoredAnswer(201, b'{"a": 1}\x00\xff')


def remember(claim=CLAIM, answer=ANSWER):
    with transaction.atomic():
        store({claim: answer}, at=now())


def replay(*claims):
    """What is stored for each of these, in one look."""
    found = read(stored_answers(claims))
    return [found.get(claim) for claim in claims]


def test_the_first_answer_is_given_again_to_the_byte():
    assert replay(CLAIM) == [None]
    remember()
    assert replay(CLAIM) == [ANSWER]
    with pytest.raises(AlreadyAnswered) as caught, transaction.atomic():
        check(CLAIM)
    assert caught.value.stored == ANSWER


def test_another_body_is_refused():
    remember()
    other = IdempotencyClaim("user:1", "k1", b"\x01" + bytes(31))
    assert isinstance(replay(CLAIM, other)[1], KeyReused)
    for attempt in (check, lambda claim: store({claim: ANSWER}, at=now())):
        with pytest.raises(KeyReused), transaction.atomic():
            attempt(other)
    assert replay(CLAIM) == [ANSWER]


def test_a_key_is_its_senders_own():
    remember()
    theirs = IdempotencyClaim("user:2", "k1", b"\x01" + bytes(31))
    assert replay(theirs) == [None]
    remember(theirs, StoredAnswer(422, b"no"))
    assert replay(CLAIM, theirs) == [ANSWER, StoredAnswer(422, b"no")]


def test_an_answer_is_forgotten_with_the_work_that_failed():
    with transaction.atomic():
        store({CLAIM: ANSWER}, at=now())
        transaction.set_rollback(True)
    assert replay(CLAIM) == [None]
