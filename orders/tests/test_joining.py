"""Joining: who waits for whom, and what each is told when the one who leads fails. Placing itself is made up here."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from psycopg import errors as pg

from compliance.idempotency import Idempotent, SentKey, StoredAnswer
from oms.lib.clock import now
from oms.lib.errors import Unavailable
from orders.services import joining
from orders.services.joining import Joiner
from orders.services.placement import Intent, Placement
from orders.tests.factories import TRADER, request_for
from orders.tests.races.conftest import result_of

AT = now()


def intent(name, *, key=False):
    sent_key = SentKey("user:1", name, bytes(32))
    return Intent(
        request_for(notes=name), TRADER, None, Idempotent(sent_key, lambda _: StoredAnswer(201, b"")) if key else None
    )


def names(intents):
    return [i.request.notes for i in intents]


class Placing:
    """Stands in for place_orders: stops inside the first call until let go, and fails as told."""

    def __init__(self):
        self.calls, self.inside, self.go, self.failures = [], threading.Event(), threading.Event(), {}

    def __call__(self, intents, *, at):
        self.calls.append(names(intents))
        if len(self.calls) == 1:
            self.inside.set()
            assert self.go.wait(10)
        if (error := self.failures.get(len(self.calls))) is not None:
            raise error
        if len(intents) > 1 and "poison" in names(intents):
            raise ZeroDivisionError("poison")
        if names(intents) == ["poison"]:
            raise ValueError("its own fate")
        return [Placement(answer=StoredAnswer(201, i.request.notes.encode())) for i in intents]


@pytest.fixture
def placing():
    return Placing()


def run(placing, *later, first="first"):
    """One places and is held inside; the `later` ones come; it is let go. What each got, the first's too."""
    joiner = Joiner(placing)
    with ThreadPoolExecutor(len(later) + 1) as pool:
        futures = [pool.submit(joiner.place, intent(first), at=AT)]
        assert placing.inside.wait(10)
        for waiting, one in enumerate(later, start=1):
            futures.append(pool.submit(joiner.place, one, at=AT))
            until(lambda waiting=waiting: len(joiner._waiting) == waiting)
        placing.go.set()
        results = [result_of(future) for future in futures]
    assert (joiner._leaders, list(joiner._waiting)) == (0, []), "nobody leads and nobody waits"
    return [r.answer.body.decode() if isinstance(r, Placement) else r for r in results]


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    monkeypatch.setattr(joining, "PATIENCE_SECONDS", 5.0)


def test_one_alone_places_at_once_and_in_its_own_thread():
    threads = []

    def place(intents, *, at):
        threads.append(threading.current_thread())
        return [Placement(answer=StoredAnswer(201, b""))]

    Joiner(place).place(intent("a"), at=AT)
    assert threads == [threading.current_thread()]


def test_who_comes_meanwhile_is_placed_together_and_gets_its_own_answer(placing):
    assert run(placing, *map(intent, "abc")) == ["first", "a", "b", "c"]
    assert placing.calls == [["first"], ["a", "b", "c"]]


def test_a_batch_is_bounded(placing, monkeypatch):
    monkeypatch.setattr(joining, "MOST", 2)
    assert run(placing, *map(intent, "abc")) == ["first", "a", "b", "c"]
    assert placing.calls == [["first"], ["a", "b"], ["c"]]


def test_the_instant_of_a_batch_is_the_latest_of_its_requests():
    instants = []

    def place(intents, *, at):
        instants.append(at)
        return [Placement() for _ in intents]

    joiner = Joiner(place)
    later = AT.replace(year=AT.year + 1)
    batch = [joining._Waiter(intent("a"), later), joining._Waiter(intent("b"), AT)]
    joiner._leaders = 1
    joiner._lead(batch)
    assert instants == [later]


def test_one_that_spoils_the_transaction_costs_the_others_nothing(placing):
    first, a, poison, b = run(placing, intent("a"), intent("poison"), intent("b"))
    assert (first, a, b) == ("first", "a", "b")
    assert isinstance(poison, ValueError), "alone it meets its own fate"
    assert sorted(placing.calls[2:]) == [["a"], ["b"], ["poison"]]


def database_error(kind, cause):
    error = kind("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        database_error(OperationalError, pg.DeadlockDetected()),
        database_error(OperationalError, pg.LockNotAvailable()),
        database_error(OperationalError, pg.QueryCanceled()),
        database_error(IntegrityError, pg.UniqueViolation()),
        RuntimeError("a bug"),
    ],
)
def test_after_a_failure_that_certainly_undid_everything_each_tries_alone(placing, error):
    placing.failures[2] = error
    assert run(placing, intent("a"), intent("b")) == ["first", "a", "b"]
    assert sorted(placing.calls[2:]) == [["a"], ["b"]]


@pytest.mark.parametrize(
    "error",
    [
        database_error(OperationalError, pg.AdminShutdown()),
        database_error(OperationalError, None),
        database_error(InterfaceError, None),
    ],
)
def test_when_a_commit_may_have_happened_only_those_with_a_key_try_again(placing, error):
    """The others would risk a second order: they are told that the database was away, as one alone is."""
    placing.failures[2] = error
    first, keyed, bare = run(placing, intent("keyed", key=True), intent("bare"))
    assert (first, keyed, bare) == ("first", "keyed", error)
    assert placing.calls[2:] == [["keyed"]]


def test_one_alone_is_told_its_failure_and_tries_nothing_again():
    error, calls = RuntimeError("x"), []

    def place(intents, *, at):
        calls.append(intents)
        raise error

    with pytest.raises(RuntimeError) as caught:
        Joiner(place).place(intent("a"), at=AT)
    assert (caught.value, len(calls)) == (error, 1)


@pytest.mark.parametrize("death", [SystemExit, KeyboardInterrupt])
def test_a_leader_that_dies_leaves_nobody_hanging(placing, death):
    """The order may have been placed, so without a key nobody places it again."""
    placing.failures[2] = death()
    first, leader, keyed, bare = run(placing, intent("a"), intent("keyed", key=True), intent("bare"))
    assert (first, keyed) == ("first", "keyed")
    assert isinstance(leader, death)
    assert isinstance(bare, Unavailable)
    assert placing.calls[2:] == [["keyed"]]


def test_the_next_who_comes_after_a_death_is_served(placing):
    placing.failures[1] = SystemExit()
    died, a = run(placing, intent("a"))
    assert isinstance(died, SystemExit)
    assert a == "a"


def test_who_waits_long_for_a_leader_that_is_held_up_goes_without_it(placing, monkeypatch):
    monkeypatch.setattr(joining, "PATIENCE_SECONDS", 0.05)
    joiner = Joiner(placing)
    with ThreadPoolExecutor(2) as pool:
        held_up = pool.submit(joiner.place, intent("first"), at=AT)
        assert placing.inside.wait(10)
        assert result_of(pool.submit(joiner.place, intent("a"), at=AT)).answer.body == b"a"
        assert not held_up.done()
        placing.go.set()
        assert result_of(held_up).answer.body == b"first"
    assert (placing.calls, joiner._leaders) == ([["first"], ["a"]], 0)


def test_who_is_in_somebodys_hand_never_places_itself_however_long_it_takes(placing, monkeypatch):
    monkeypatch.setattr(joining, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(joining, "ANSWER_SECONDS", 0.01)
    joiner = Joiner(placing)
    leader, other = joining._Waiter(intent("leader"), AT), joining._Waiter(intent("other"), AT)
    joiner._leaders, leader.batch = 1, [leader, other]
    with pytest.raises(Unavailable):
        joiner._wait(other)
    assert placing.calls == []


@pytest.mark.parametrize("threads", [40])
def test_many_at_once_are_each_placed_exactly_once(threads):
    calls = []

    def place(intents, *, at):
        time.sleep(0.002)
        calls.extend(names(intents))
        return [Placement(answer=StoredAnswer(201, i.request.notes.encode())) for i in intents]

    joiner = Joiner(place)
    with ThreadPoolExecutor(threads) as pool:
        asked = [str(n) for n in range(threads * 10)]
        got = list(pool.map(lambda name: joiner.place(intent(name), at=AT).answer.body.decode(), asked))
    assert got == asked
    assert sorted(calls) == sorted(asked)
    assert joiner._leaders == 0
