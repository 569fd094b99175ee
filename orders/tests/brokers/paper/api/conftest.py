"""The exchange's routes on an engine that a test moves by hand: no process, no waiting."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orders.brokers.paper.account import Account
from orders.brokers.paper.app import create_app
from orders.brokers.paper.services import open_account
from orders.tests.brokers.paper.api.client import Client, Door, logged_in
from orders.tests.brokers.paper.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """SBIN stands at 970; limits of requests are off."""
    engine = Engine(tmp_path, "--no-rate-limits", "--redirect-url", "http://127.0.0.1:9/back")
    engine.price("NSE:SBIN", 97_000)
    yield engine
    engine.close()


@pytest.fixture
def door(engine: Engine) -> Door:
    """The whole application, met by somebody who is not logged in."""
    return Door(create_app(engine.services))


@pytest.fixture
def kite(door: Door, engine: Engine) -> Client:
    """PX0001, logged in."""
    return logged_in(door, engine)


@pytest.fixture
def other(door: Door, engine: Engine) -> Client:
    """PX0002, who has money and holds nothing, logged in."""
    open_account(engine.services, Account("PX0002", "Somebody Else", 10**9, 10**9))
    return logged_in(door, engine, "PX0002")


@pytest.fixture
def control(door: Door) -> Callable[..., Any]:
    """`control("POST", "/prices", {...})`: the answer, whatever it is."""

    def call(method: str, path: str, body: Any = None, key: str = "paper-control") -> Any:
        return door.request(method, f"/control{path}", json=body, headers={"X-Paper-Control": key})

    return call
