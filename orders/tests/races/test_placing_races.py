"""Placements that meet: one key one order, one rupee one order, one second ten orders."""

import re
from decimal import Decimal as D

import pytest

from compliance.idempotency import Idempotent, KeyReused, SentKey, StoredAnswer
from compliance.screening import rules
from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.models import CapitalEntry
from ledger.selectors import trial_balance
from ledger.services.capital import deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Conflict
from orders.models import Order
from orders.tests.factories import place, place_list, request_for


@pytest.fixture(autouse=True)
def _books_balance_and_chains_are_whole(account, sbin):
    yield
    assert trial_balance() == []
    for order in Order.objects.all():
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok


def keyed(key="k", body=bytes(32)) -> Idempotent:
    claim = SentKey("user:1", key, body)
    return Idempotent(claim, lambda placed: StoredAnswer(201, placed.order.id.bytes))


def test_forty_equal_requests_make_one_order(race, account, trader):
    def send():
        return place_list([request_for()], user=trader, keys=[keyed()])[0]

    answers = race(account, *[send] * 40)
    assert sorted(answer.is_repeat for answer in answers) == [False] + [True] * 39
    assert len({answer.answer for answer in answers}) == 1
    assert Order.objects.count() == CapitalEntry.objects.filter(kind="RESERVE").count() == 1


def test_one_key_for_two_accounts_goes_to_one_of_them(race, account, other_account):
    """No account's lock covers both: the key's own uniqueness decides."""

    def send(code, body):
        return lambda: place_list([request_for(account=code), request_for(account=code)], keys=[keyed(body=body)])

    # The instrument is what both orders' commits need: both are written, neither is committed.
    answers = race(account, send("DEMO", b"1" * 32), send("OTHER", b"2" * 32), waiting_for=1)
    (refused,) = [placement.error for (placement, _) in answers if placement.order is None]
    assert isinstance(refused, KeyReused)
    assert [beside.order.state for (_, beside) in answers] == ["CREATED", "CREATED"], "they cost each other nothing"
    assert Order.objects.count() == 3


def test_one_client_order_id_makes_one_order(race, account):
    answers = race(account, *[lambda: place(client_order_id="mine")] * 8)
    assert sum(isinstance(answer, Order) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    assert Order.objects.count() == 1


def test_two_that_together_exceed_free_capital(race, account, portfolio):
    answers = race(account, *[lambda: place(quantity=D(600))] * 2)
    assert sorted(answer.rejection_code for answer in answers) == ["", "INSUFFICIENT_CAPITAL"]
    portfolio.refresh_from_db()
    assert portfolio.free >= 0


def test_the_capital_is_guarded_even_without_the_accounts_lock(race, account, portfolio, monkeypatch):
    """The portfolio's own lock, taken later, is a second line."""
    from compliance import selectors

    monkeypatch.setattr(selectors, "_TRADABLE", selectors._TRADABLE.replace("FOR NO KEY UPDATE OF t", ""))
    answers = race(portfolio, *[lambda: place(quantity=D(600))] * 2)
    assert sorted(answer.rejection_code for answer in answers) == ["", "INSUFFICIENT_CAPITAL"]


def test_without_any_lock_the_database_still_refuses_to_lose_a_rupee(race, account, portfolio, monkeypatch):
    """The proof that these are races: with both locks gone two reservations do collide, and one of them fails loudly."""
    from compliance import selectors
    from ledger.services import locking

    monkeypatch.setattr(selectors, "_TRADABLE", selectors._TRADABLE.replace("FOR NO KEY UPDATE OF t", ""))
    lock, words = locking.model_read, re.compile(r"FOR NO KEY UPDATE( OF t)?")
    monkeypatch.setattr(locking, "model_read", lambda model, sql, params: lock(model, words.sub("", sql), params))
    # Nothing is locked before the rows are written: that is where they meet.
    answers = race(portfolio, *[lambda: place(quantity=D(600))] * 2)
    assert sorted(type(answer).__name__ for answer in answers) == ["IntegrityError", "Order"]


def test_of_those_that_together_would_wait_too_long_the_last_are_refused(race, account, monkeypatch):
    monkeypatch.setattr(rules, "LONGEST_WAIT_SECONDS", 1)
    answers = race(account, *[lambda: place(quantity=D(1))] * 12)
    assert sorted(answer.rejection_code for answer in answers) == [""] * 10 + ["ORDER_RATE"] * 2


def test_one_deposit_key_posts_once(race, account, portfolio):
    def pay():
        return deposit(portfolio, D(100), key="wire", reason="x", user=None, actor=SYSTEM, at=now()).pk

    assert len(set(race(account, *[pay] * 6))) == 1
    portfolio.refresh_from_db()
    assert portfolio.free == 1_000_100
