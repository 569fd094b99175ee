"""Everybody takes locks in one order, so nobody waits in a circle."""

import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D

import pytest

from compliance.idempotency import Idempotent, SentKey, StoredAnswer
from compliance.services.controls import set_limits
from ledger.selectors import trial_balance
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import DomainError
from orders.models import BrokerAccount, Order
from orders.services.amendments.asking import request_cancels
from orders.services.broker_sessions import close_session, mark_expired, record_login
from orders.services.observation import apply_book
from orders.services.submission import answer_place, claim_orders
from orders.tests.factories import TRADER, broker_id, place_list, request_for, row, stored, trade
from orders.tests.races.conftest import in_own_connection, result_of, until_waiting
from orders.types import Accepted, BrokerStatus


@pytest.fixture(autouse=True)
def _no_rate_limit(account, other_account, sbin, infy):
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
    yield
    assert trial_balance() == []


@pytest.mark.parametrize("work", ["expire", "close", "login"])
def test_a_session_that_ends_or_begins_while_an_order_is_being_placed(work, broker_account):
    """The order's commit looks at the broker account's row, the session's end at the account's: no circle."""
    pk = broker_account.pk
    change = {
        "expire": lambda: mark_expired(pk, message="dead", at=now()),
        "close": lambda: close_session(pk, user=None, actor=SYSTEM, at=now(), reason="test"),
        "login": lambda: record_login(
            pk, client_id="PX0001", access_token="t", actor=SYSTEM, at=now(), reason="test"
        ),
    }[work]  # fmt: skip
    with ThreadPoolExecutor(1) as pool:
        futures = []

        def respond(_):
            """Called inside placement's transaction, everything written: let the other one run into our lock."""
            futures.append(pool.submit(in_own_connection(change)))
            until_waiting(1)
            return StoredAnswer(201, b"")

        key = Idempotent(SentKey("u", "k", bytes(32)), respond)
        order = stored(*place_list([request_for()], keys=[key]))
        assert not isinstance(result_of(futures[0]), Exception)
    assert Order.objects.get().state == order.state == "CREATED"
    states = {"expire": "EXPIRED", "close": "CLOSED", "login": "OPEN"}
    assert BrokerAccount.objects.get().session_state == states[work]


def test_placements_books_and_cancellations_over_several_accounts(broker_account):
    """Lists that name the accounts in either order, and books that touch both, all at once."""
    rounds = 6

    def placing(seed):
        dice = random.Random(seed)
        for _ in range(rounds):
            requests = [
                request_for(account=code, symbol=symbol, quantity=D(1))
                for code in ("DEMO", "OTHER")
                for symbol in ("SBIN", "INFY")
            ]
            dice.shuffle(requests)
            place_list(requests)

    def filling(seed):
        dice = random.Random(seed)
        for _ in range(rounds):
            for submission in claim_orders(broker_account.pk, limit=5, at=now()):
                order = Order.objects.get(pk=submission.order_id)
                answer_place(order.pk, Accepted(broker_id(order)), at=now())
            working = list(Order.objects.filter(state__in=["ACKED", "OPEN", "PARTIALLY_FILLED"]))
            dice.shuffle(working)
            rows = [row(order, BrokerStatus.COMPLETE, filled=1) for order in working]
            apply_book(broker_account.pk, rows, [trade(order, 1, 1) for order in working], at=now())

    def cancelling(seed):
        dice = random.Random(seed)
        for _ in range(rounds):
            ids = list(Order.objects.filter(state="CREATED").values_list("pk", flat=True)[:6])
            dice.shuffle(ids)
            results = request_cancels(ids, actor=TRADER, at=now(), user=None) if ids else {}
            assert all(isinstance(result, Order | DomainError) for result in results.values())

    work = [lambda w=w, n=n: w(n) for n, w in enumerate((placing, placing, filling, filling, cancelling))]
    with ThreadPoolExecutor(len(work)) as pool:
        results = [result_of(future) for future in [pool.submit(in_own_connection(one)) for one in work]]
    assert results == [None] * len(work)
    assert Order.objects.count() == 2 * rounds * 4
