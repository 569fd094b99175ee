"""What goes wrong while calls are on their way: every answer that comes is applied all the same."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, OperationalError, connection

from compliance.services.controls import set_limits
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.brokers.base import DefiniteRefusal, SessionExpired
from orders.gateway import sending
from orders.gateway.locks import alone
from orders.models import BrokerAccount
from orders.tests.brokers.paper.process import wait_for
from orders.tests.factories import fresh, place
from orders.tests.races.conftest import in_own_connection

LOCK = 0x7E57


@pytest.fixture
def broker(broker_account, sbin, monkeypatch):
    """A broker whose `place` each test decides, with nothing in the way of sending."""
    set_limits("HOUSE", values={}, reason="test", user=None, actor=SYSTEM, at=now())
    BrokerAccount.objects.update(session_state="OPEN", session_opened_at=now(), polled_at=now(), orders_per_second=0)
    broker = SimpleNamespace(place=lambda instruction: f"B-{instruction.tag}")
    monkeypatch.setattr(sending, "broker_for", lambda _account: broker)
    return broker


def claims_that_fail_after_the_first(monkeypatch, fail):
    """The first claim succeeds; from then on, for as long as anything waits, `fail` is called instead."""
    real, claims = sending.claim_orders, []

    def claim(*args, **given):
        claims.append(args)
        if len(claims) > 1:
            fail()
        return real(*args, limit=given["limit"] and 1, at=given["at"])

    monkeypatch.setattr(sending, "claim_orders", claim)
    monkeypatch.setattr(sending, "DRAIN_SECONDS", 0.5)
    return claims


def test_a_claim_that_fails_costs_no_answer(broker, broker_account, monkeypatch):
    first, second = place(quantity=D(1)), place(quantity=D(1))

    def refuse(_instruction):
        raise DefiniteRefusal("no", code="InputException")

    def fail():
        raise OperationalError("canceling statement due to lock timeout")

    broker.place = refuse
    claims = claims_that_fail_after_the_first(monkeypatch, fail)
    assert sending.drain(broker_account.pk) == 1
    assert (fresh(first).state, fresh(first).rejection_code) == ("REJECTED", "InputException")
    assert fresh(second).state == "CREATED"
    assert 2 < len(claims) < 10, "it is tried again, after a pause each time"


def test_the_end_of_the_session_is_noted_though_the_next_claim_fails(broker, broker_account, monkeypatch):
    place(quantity=D(1)), place(quantity=D(1))

    def log_out(_instruction):
        raise SessionExpired("dead")

    def fail():
        raise DatabaseError("any")

    broker.place = log_out
    claims_that_fail_after_the_first(monkeypatch, fail)
    sending.drain(broker_account.pk)
    assert BrokerAccount.objects.get(pk=broker_account.pk).session_state == "EXPIRED"


def test_a_connection_lost_under_way_costs_no_answer(broker, broker_account):
    """As when the database fails over: claimed on one connection, answered on another."""
    order, go, pid = place(quantity=D(1)), threading.Event(), []

    def place_late(instruction):
        assert go.wait(10)
        return f"B-{instruction.tag}"

    def drain():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid.append(cursor.fetchone()[0])
        sending.drain(broker_account.pk)

    broker.place = place_late
    with ThreadPoolExecutor(1) as pool:
        drained = pool.submit(in_own_connection(drain))
        wait_for(lambda: fresh(order), lambda seen: seen.state == "SUBMITTING")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", pid)
        go.set()
        assert isinstance(drained.exception(20), OperationalError), "nobody goes on without the lock"
    assert (fresh(order).state, fresh(order).broker_order_id) == ("ACKED", f"B-{order.tag}")


def test_what_no_broker_should_raise_is_an_unknown_outcome_of_its_own_order_only(broker, broker_account):
    good, bad = place(quantity=D(1)), place(quantity=D(1))

    def place_one(instruction):
        if instruction.tag == bad.tag:
            raise OverflowError("cannot convert float infinity to integer")
        return f"B-{instruction.tag}"

    broker.place = place_one
    assert sending.drain(broker_account.pk) == 2
    assert (fresh(good).state, fresh(bad).state) == ("ACKED", "UNKNOWN")


class TestBeingAlone:
    def test_the_end_of_it_raises_nothing_of_its_own_after_the_connection_was_lost(self, committed_db):
        with alone(LOCK, 1) as is_alone:
            assert is_alone
            lose_connection()
        assert others_may()

    def test_on_another_connection_it_gives_back_no_lock_of_somebody_else(self, committed_db):
        with alone(LOCK, 1):
            connection.close()
            with alone(LOCK, 1) as again:
                assert again
        assert others_may()

    def test_others_may_afterwards(self, committed_db):
        with alone(LOCK, 1):
            assert not others_may()
        assert others_may()


def lose_connection():
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def others_may():
    def attempt():
        with alone(LOCK, 1) as is_alone:
            return is_alone

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(in_own_connection(attempt)).result()
