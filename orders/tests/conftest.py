"""A running paper exchange that the cast's broker account is logged in at."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from oms.lib.clock import now
from orders.gateway.logins import auto_login
from orders.models import BrokerAccount
from orders.tests.brokers.paper.process import PaperExchange, paper_exchange

#: Prices move only when told to, and the market has more than anybody here asks for.
STILL = {
    name: {"last_price": 1000, "freeze": True, "volume_per_tick": 1_000_000, "rebase": True}
    for name in ("NSE:SBIN", "NSE:INFY")
}


@pytest.fixture(scope="module")
def running_exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperExchange]:
    """The process, without rate limits of its own; its market ticks only when told to."""
    with paper_exchange(tmp_path_factory.mktemp("exchange"), rate_limits=False, tick_seconds=600) as exchange:
        yield exchange


@pytest.fixture
def paper(running_exchange: PaperExchange, account: Any, broker_account: BrokerAccount, sbin: Any) -> PaperExchange:
    """The exchange as after its first start, on a trading day, with a session of the broker account."""
    running_exchange.control("DELETE", "/faults")
    running_exchange.control("POST", "/reset", {})
    running_exchange.control("POST", "/limits", {"enabled": False})
    running_exchange.control("POST", "/settings", {"latency_seconds": 0.005})
    running_exchange.control("POST", "/clock", {"now": "2026-11-20T11:00:00"})
    running_exchange.control("POST", "/prices", STILL)
    BrokerAccount.objects.update(
        root_url=running_exchange.root, session_state="CLOSED", orders_per_second=0, orders_per_minute=0,
        other_calls_per_second=0,
    )  # fmt: skip
    auto_login(broker_account.pk, at=now())
    return running_exchange


@pytest.fixture
def misses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls count however close they follow each other: for tests that poll time and again."""
    monkeypatch.setattr("orders.services.resolution.MISSES_APART", timedelta(0))
