"""The exchange process all tests of this folder share, and a logged-in official client."""

from collections.abc import Iterator

import pytest

from orders.tests.brokers.paper.official import KiteConnect
from orders.tests.brokers.paper.process import PaperExchange, paper_exchange

# Prices stand still in tests unless they are set; volumes are small enough to see partial fills.
STILL = {
    "NSE:SBIN": {"last_price": 970, "freeze": True, "volume_per_tick": 1000},
    "NSE:INFY": {"last_price": 1545, "freeze": True, "volume_per_tick": 1000},
    "NSE:RELIANCE": {"last_price": 1536, "freeze": True, "volume_per_tick": 1000},
    "NSE:ITC": {"last_price": 405, "freeze": True, "volume_per_tick": 100_000},
    "NFO:NIFTY26NOVFUT": {"last_price": 26000, "freeze": True, "volume_per_tick": 6500},
    "NFO:NIFTY26NOV26000CE": {"last_price": 200, "freeze": True, "volume_per_tick": 6500},
}


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperExchange]:
    """The process."""
    with paper_exchange(tmp_path_factory.mktemp("paper"), rate_limits=False, seed=7) as exchange:
        yield exchange


@pytest.fixture
def exchange(shared: PaperExchange) -> PaperExchange:
    """The process, as fresh as after its first start, on a trading day before the expiries."""
    shared.control("POST", "/reset")
    shared.control("POST", "/limits", {"enabled": False})
    shared.control("POST", "/settings", {"tick_seconds": 0.25, "latency_seconds": 0.005})
    shared.control("POST", "/clock", {"now": "2026-11-23T11:00:00"})
    shared.control("POST", "/prices", STILL)
    return shared


@pytest.fixture
def kite(exchange: PaperExchange) -> Iterator[KiteConnect]:
    """The official client, logged in as PX0001."""
    client = KiteConnect("paper", root=exchange.root)
    client.reqsession.trust_env = False
    client.generate_session(exchange.request_token(), "paper-secret")
    yield client
    client.reqsession.close()
