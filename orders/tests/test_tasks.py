"""The one beat: it looks after everything each second, and a fault in one part does not take the others with it."""

from datetime import timedelta

import pytest

from ledger.market.prices import fresh_prices, wanted_since
from oms.lib.clock import now
from orders import tasks
from orders.models import BrokerAccount
from orders.services.submission import claim_orders
from orders.tests.factories import fresh, place

pytestmark = pytest.mark.django_db


@pytest.fixture
def watched(broker_account, sbin, monkeypatch):
    """The broker accounts that are watched, in turn; this one is logged in and was polled a moment ago."""
    seen = []
    monkeypatch.setattr(tasks.watching, "poll", seen.append)
    monkeypatch.setattr(tasks.market_data, "refresh_prices", lambda _: None)
    BrokerAccount.objects.update(session_state="OPEN", polled_at=now() - timedelta(seconds=10))
    return seen


def test_what_is_due_is_watched(watched, broker_account):
    tasks.every_second()
    assert watched == [broker_account.pk]
    BrokerAccount.objects.update(polled_at=now())
    tasks.every_second()
    assert watched == [broker_account.pk]


@pytest.mark.parametrize("broken", ["expire_unsent", "abandon_amendments", "with_work_waiting"])
def test_a_step_of_the_sweep_that_breaks_neither_blinds_us_nor_stops_the_others(
    watched, broker_account, monkeypatch, broken
):
    at, order = now(), place()
    claim_orders(order.broker_account_id, limit=1, at=at - timedelta(seconds=30))
    monkeypatch.setattr(tasks, broken, _break)
    tasks.every_second()
    assert fresh(order).state == "UNKNOWN"
    assert watched == [broker_account.pk]


def test_a_login_that_breaks_stops_no_sweep(watched, monkeypatch):
    order = place()
    monkeypatch.setattr(tasks.logins, "keep_sessions", _break)
    tasks.sweep(at=now() + timedelta(days=5))
    assert fresh(order).state == "EXPIRED"


def test_of_several_brokers_none_waits_for_another(watched, broker_account, account, monkeypatch):
    told = []
    monkeypatch.setattr(tasks.watch_broker, "apply_async", lambda args, **how: told.append((args, how)))
    second = BrokerAccount.objects.create(
        name="Second", kind="PAPER", root_url="http://127.0.0.1:9", client_id="X", api_key="k", api_secret="s",
        default_account=account, session_state="OPEN",
    )  # fmt: skip
    tasks.every_second()
    assert watched == [second.pk]
    assert told == [([broker_account.pk], {"expires": 1})]


def test_a_price_asked_for_in_vain_is_read_at_once_however_quiet_it_is(watched, broker_account, sbin):
    BrokerAccount.objects.update(polled_at=now())
    tasks.every_second()
    assert watched == []
    fresh_prices([sbin.pk], at=now())
    assert wanted_since(now() - timedelta(seconds=2))
    tasks.every_second()
    assert watched == [broker_account.pk]


def _break(**_given):
    raise ArithmeticError("a fault of ours")
