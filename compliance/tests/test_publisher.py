"""The publisher gives every event once, in the order of commits, whatever happens in between."""

import json
import threading
import time
from datetime import timedelta

import pytest
import redis
from django.db import connection, transaction

from compliance import audit, publisher
from compliance.audit import EventDraft, EventType
from compliance.models import Account, OrderEvent
from compliance.publisher import STREAM, Position, lag, last_published, publish_batch, try_lock
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.redis import client


@pytest.fixture
def accounts(committed_db):
    """Two accounts, hence two chains whose writers do not wait for each other."""
    return [Account.objects.create(code=code, name=code) for code in ("A", "B")]


def write(account, note, *, at=None):
    account = Account.objects.select_for_update().get(pk=account.pk)
    audit.record([EventDraft(account, EventType.CORRECTION, {"note": note})], actor=SYSTEM, at=at or now())


def commit(account, *notes):
    for note in notes:
        with transaction.atomic():
            write(account, note)


def publish(expected):
    """As the process does it after a start: go on from where the stream ends, until so many came.

    Parallel tests share the server, and their open transactions hold the readers back like any other.
    """
    deadline = time.monotonic() + 30
    after, total = publish_batch(client(), last_published(client()))
    while total < expected:
        assert time.monotonic() < deadline, f"{total} of {expected} published"
        time.sleep(0.01)
        after, count = publish_batch(client(), after)
        total += count
    return total


def published():
    return [json.loads(entry["document"])["data"]["note"] for _, entry in client().xrange(STREAM)]


class Latecomer:
    """A transaction that takes its row's id early and commits when told to."""

    def __init__(self, account, note):
        self._go, self._wrote = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(account, note))
        self._thread.start()
        assert self._wrote.wait(10)

    def _run(self, account, note):
        try:
            with transaction.atomic():
                write(account, note)
                self._wrote.set()
                self._go.wait(10)
        finally:
            connection.close()

    def commit(self):
        self._go.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_what_commits_late_with_a_lower_id_is_not_skipped(accounts):
    first, second = accounts
    late = Latecomer(first, "late")
    commit(second, "early")
    lower, higher = OrderEvent.objects.get().pk - 1, OrderEvent.objects.get().pk
    assert publish(0) == 0, "nothing may overtake the open transaction: by id alone, `early` would now be the cursor"
    late.commit()
    assert publish(2) == 2
    assert sorted(published()) == ["early", "late"]
    assert set(OrderEvent.objects.values_list("pk", flat=True)) == {lower, higher}


def test_an_open_transaction_holds_back_only_what_comes_after_it(accounts):
    first, second = accounts
    commit(second, "before")
    late = Latecomer(first, "late")
    commit(second, "after")
    assert publish(1) == 1
    assert published() == ["before"]
    late.commit()
    publish(2)
    assert published() == ["before", "late", "after"]


def test_a_restart_goes_on_without_gap_or_repeat(accounts, monkeypatch):
    monkeypatch.setattr(publisher, "BATCH", 2)
    commit(accounts[0], *"abcde")
    publish(2)
    assert published() == ["a", "b"]
    commit(accounts[0], "f")
    assert publish(4) == 4
    assert published() == list("abcdef")
    assert publish(0) == 0


def test_events_of_one_transaction_keep_their_order(accounts):
    with transaction.atomic():
        for note in "abc":
            write(accounts[0], note)
    publish(3)
    assert published() == ["a", "b", "c"]


def test_a_rolled_back_event_is_never_seen(accounts):
    with transaction.atomic():
        write(accounts[0], "never")
        transaction.set_rollback(True)
    commit(accounts[0], "kept")
    publish(1)
    assert published() == ["kept"]


def test_an_entry_carries_what_a_reader_needs(accounts):
    commit(accounts[0], "a")
    publish(1)
    ((entry_id, entry),) = client().xrange(STREAM)
    event = OrderEvent.objects.get()
    assert entry_id == f"{event.xid}-{event.pk}"
    assert entry["document"].encode() == bytes(event.c14n)
    assert (entry["event_type"], entry["seq"], entry["order_id"]) == ("CORRECTION", "1", "")
    assert entry["account_id"] == str(accounts[0].pk)


def test_a_publisher_that_was_overtaken_is_told_and_repeats_nothing(accounts):
    commit(accounts[0], "a", "b")
    publish(2)
    with pytest.raises(redis.ResponseError):
        publish_batch(client(), Position(0, 0))
    assert published() == ["a", "b"]


def test_a_second_publisher_waits_until_the_first_is_gone(committed_db):
    first_is_in, first_may_go, answers = threading.Event(), threading.Event(), []

    def first():
        try:
            answers.append(try_lock())
            first_is_in.set()
            first_may_go.wait(10)
        finally:
            connection.close()  # a process that dies loses its connection, and the lock with it

    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(10)
    answers.append(try_lock())
    first_may_go.set()
    thread.join(10)
    answers.append(_try_until_free())
    assert answers == [True, False, True]


def _try_until_free() -> bool:
    """The server notices a closed connection a moment later."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if try_lock():
            return True
        time.sleep(0.01)
    return False


def test_lag_counts_from_the_oldest_event_not_yet_published(accounts):
    at = now()
    assert lag(client(), at) == (0.0, 0)
    for seconds in (30, 10):
        with transaction.atomic():
            write(accounts[0], "x", at=at - timedelta(seconds=seconds))
    assert lag(client(), at) == (30.0, 2)
    publish(2)
    assert lag(client(), at) == (0.0, 0)


def test_lag_is_asked_often_and_counts_only_so_far(accounts, monkeypatch):
    monkeypatch.setattr(publisher, "COUNTED", 2)
    at = now()
    for seconds in (30, 20, 10):
        with transaction.atomic():
            write(accounts[0], "x", at=at - timedelta(seconds=seconds))
    assert lag(client(), at) == (30.0, 2)
