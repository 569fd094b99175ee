"""The one beat: it looks after everything each second, and a fault in one part does not take the others with it."""

from datetime import timedelta

import pytest

from ledger.market.prices import fresh_prices, wanted_since
from oms.lib.clock import now
from orders import tasks
from orders.models import BrokerAccount

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


def test_a_sweep_that_breaks_does_not_blind_us(watched, broker_account, monkeypatch):
    monkeypatch.setattr(tasks, "expire_unsent", _break)
    with pytest.raises(ArithmeticError):
        tasks.every_second()
    assert watched == [broker_account.pk]


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
