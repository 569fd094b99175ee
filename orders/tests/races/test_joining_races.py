"""Forty threads, one process: their orders share transactions and are as much their own as if they did not."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D

import pytest
from django.db import connection

from compliance.idempotency import Idempotent, SentKey, StoredAnswer
from compliance.models import IdempotencyKey
from compliance.selectors import order_events
from compliance.services.controls import set_limits
from compliance.verification import verify_chain
from ledger.models import CapitalEntry
from ledger.selectors import trial_balance
from oms.lib.actors import SYSTEM, Actor, ActorType
from oms.lib.clock import now
from orders.models import Order
from orders.services import joining, placement
from orders.services.joining import Joiner
from orders.services.placement import Intent, Placement, place_orders
from orders.tests.factories import request_for
from orders.tests.races.conftest import in_own_connection, result_of

THREADS = 40


@pytest.fixture(autouse=True)
def _books_balance_and_chains_are_whole(account, other_account, sbin, infy):
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
    yield
    assert trial_balance() == []
    for order in Order.objects.all():
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok


@pytest.fixture
def sizes():
    """How many orders each transaction placed."""
    return []


@pytest.fixture
def joiner(sizes):
    def place(intents, *, at):
        sizes.append(len(intents))
        return place_orders(intents, at=at)

    return Joiner(place)


def keyed(name, body=bytes(32)):
    return Idempotent(SentKey("user:1", name, body), lambda placed: StoredAnswer(201, placed.order.id.bytes))


def actor_of(user):
    return Actor(ActorType.TRADER, str(user.pk), "API")


def all_at_once(joiner, intents):
    """Each intent in a thread of its own; what each got."""
    with ThreadPoolExecutor(len(intents)) as pool:
        work = [in_own_connection(lambda i=i: joiner.place(i, at=now())) for i in intents]
        return [result_of(future) for future in [pool.submit(one) for one in work]]


def test_forty_equal_keys_make_one_order(joiner, sizes, trader):
    placements = all_at_once(joiner, [Intent(request_for(), actor_of(trader), trader, keyed("k"))] * THREADS)
    assert Counter(p.is_repeat for p in placements) == {False: 1, True: THREADS - 1}
    assert len({p.answer for p in placements}) == 1
    assert Order.objects.count() == CapitalEntry.objects.filter(kind="RESERVE").count() == 1
    assert len(sizes) < THREADS, "they were joined"


def test_forty_orders_of_several_people_on_several_accounts(joiner, sizes, trader, dealer, outsider, operator):
    dice = random.Random(7)
    intents = []
    for n in range(THREADS):
        user = dice.choice([trader, dealer, outsider, operator])
        request = request_for(
            account=dice.choice(["DEMO", "OTHER"]), symbol=dice.choice(["SBIN", "INFY"]), quantity=D(1), notes=str(n),
            client_order_id=f"own-{n % 30}",
        )  # fmt: skip
        intents.append(Intent(request, actor_of(user), user, keyed(f"k{n}") if n % 2 else None))
    placements = all_at_once(joiner, intents)
    may = {trader: {"DEMO"}, dealer: {"DEMO"}, outsider: {"OTHER"}, operator: {"DEMO", "OTHER"}}
    for intent, placed in zip(intents, placements, strict=True):
        assert isinstance(placed, Placement)
        if intent.request.account not in may[intent.user]:
            assert placed.error.code == "not_found"
        elif placed.error is not None:
            assert placed.error.code == "client_order_id_used"
        else:
            order = Order.objects.get(pk=placed.order.pk)
            assert (order.state, order.placed_by, order.account.code, order.notes) == (
                "CREATED", intent.user, intent.request.account, intent.request.notes,
            )  # fmt: skip
            assert {e.actor_id for e in order_events(order.pk)} == {str(intent.user.pk)}
            assert CapitalEntry.objects.get(order_id=order.pk).actor == f"TRADER:{intent.user.pk}"
    stored = [p for p in placements if p.order]
    assert Order.objects.count() == len(stored) >= 10
    assert IdempotencyKey.objects.count() == sum(p.answer is not None for p in stored)
    assert len({(o.account_id, o.client_order_id) for o in Order.objects.all()}) == len(stored)
    assert sum(sizes) == THREADS
    assert len(sizes) < THREADS, "they were joined"


def test_one_poisoned_order_fails_alone(joiner, trader, monkeypatch):
    screen = placement.screen

    def choke(proposal, around):
        if proposal.quantity == 13:
            raise ZeroDivisionError("poisoned")
        return screen(proposal, around)

    monkeypatch.setattr(placement, "screen", choke)
    quantities = [13 if n == 5 else 1 for n in range(THREADS)]
    intents = [Intent(request_for(quantity=D(q)), actor_of(trader), trader) for q in quantities]
    results = all_at_once(joiner, intents)
    assert [n for n, r in enumerate(results) if isinstance(r, ZeroDivisionError)] == [5]
    assert Order.objects.filter(state="CREATED").count() == THREADS - 1


def test_a_leader_whose_connection_breaks_before_the_commit_loses_no_order_and_doubles_none(
    joiner, trader, monkeypatch
):
    """Some transactions end with the connection: those with a key place again, the others are told."""
    written, dice = placement.Desk.write, random.Random(3)

    def break_off(desk):
        if dice.random() < 0.3:
            connection.connection.close()
        written(desk)

    monkeypatch.setattr(placement.Desk, "write", break_off)
    intents = [Intent(request_for(quantity=D(1)), actor_of(trader), trader, keyed(f"k{n}")) for n in range(THREADS)]
    placements = all_at_once(joiner, intents)
    placed = [p for p in placements if isinstance(p, Placement)]
    assert Order.objects.count() == len(placed) == IdempotencyKey.objects.count()
    assert len(placed) > THREADS // 4


def test_two_processes_that_join_the_same_accounts_in_any_order_never_lock_each_other_out(trader, operator):
    """Two joiners stand for two processes."""
    joiners = [Joiner(), Joiner()]
    dice = random.Random(1)
    intents = [
        Intent(request_for(account=dice.choice(["DEMO", "OTHER"]), quantity=D(1)), actor_of(operator), operator)
        for _ in range(THREADS)
    ]
    with ThreadPoolExecutor(THREADS) as pool:
        work = [in_own_connection(lambda i=i, n=n: joiners[n % 2].place(i, at=now())) for n, i in enumerate(intents)]
        results = [result_of(future) for future in [pool.submit(one) for one in work]]
    assert [r.order.state for r in results] == ["CREATED"] * THREADS
    assert joining.MOST >= THREADS
