"""A key answers once: the same answer to the byte, and never for another request."""

import pytest
from django.db import transaction

from compliance.idempotency import (
    AlreadyAnswered,
    KeyReused,
    SentKey,
    StoredAnswer,
    check,
    store,
    stored_answers,
)
from oms.lib.clock import now
from oms.lib.db import read

pytestmark = pytest.mark.django_db

SENT_KEY = SentKey("user:1", "k1", bytes(32))
ANSWER = StoredAnswer(201, b'{"a": 1}\x00\xff')


def remember(sent_key=SENT_KEY, answer=ANSWER):
    with transaction.atomic():
        store({sent_key: answer}, at=now())


def replay(*sent_keys):
    """What is stored for each of these, in one look."""
    found = read(stored_answers(sent_keys))
    return [found.get(sent_key) for sent_key in sent_keys]


def test_the_first_answer_is_given_again_to_the_byte():
    assert replay(SENT_KEY) == [None]
    remember()
    assert replay(SENT_KEY) == [ANSWER]
    with pytest.raises(AlreadyAnswered) as caught, transaction.atomic():
        check(SENT_KEY)
    assert caught.value.stored == ANSWER


def test_another_body_is_refused():
    remember()
    other = SentKey("user:1", "k1", b"\x01" + bytes(31))
    assert isinstance(replay(SENT_KEY, other)[1], KeyReused)
    for attempt in (check, lambda sent_key: store({sent_key: ANSWER}, at=now())):
        with pytest.raises(KeyReused), transaction.atomic():
            attempt(other)
    assert replay(SENT_KEY) == [ANSWER]


def test_a_key_is_its_senders_own():
    remember()
    theirs = SentKey("user:2", "k1", b"\x01" + bytes(31))
    assert replay(theirs) == [None]
    remember(theirs, StoredAnswer(422, b"no"))
    assert replay(SENT_KEY, theirs) == [ANSWER, StoredAnswer(422, b"no")]


def test_an_answer_is_forgotten_with_the_work_that_failed():
    with transaction.atomic():
        store({SENT_KEY: ANSWER}, at=now())
        transaction.set_rollback(True)
    assert replay(SENT_KEY) == [None]
