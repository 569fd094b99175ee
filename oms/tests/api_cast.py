"""The cast as the API's tests meet it: clients that speak for each person, bodies, and fills.

The people and accounts themselves are `oms.tests.cast`, the broker's words `orders.tests.factories`.
Import what a folder needs in its conftest.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from compliance.api.logins import log_in
from compliance.models import Account
from ledger.market.prices import set_prices
from ledger.models import CapitalAccount, Instrument
from oms.lib import clock
from orders.models import BrokerAccount, Order
from orders.tests.factories import fresh, see, send, trade
from orders.types import BrokerStatus

CAPITAL = Decimal(1_000_000)
LAST_PRICE = Decimal("1000.05")
ORDERS = "/api/v1/orders"


@dataclass(frozen=True)
class Cast:
    """DEMO is `account`, with `portfolio` DEMO-1; OTHER is `other_account`."""

    people: dict[str, User]
    account: Account
    portfolio: CapitalAccount
    other_account: Account
    broker_account: BrokerAccount
    instrument: Instrument

    def __getattr__(self, name: str) -> User:
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.fixture
def cast(
    trader: User, viewer: User, outsider: User, operator: User, officer: User, account: Account,
    portfolio: CapitalAccount, other_account: Account, broker_account: BrokerAccount, sbin: Instrument,
) -> Cast:  # fmt: skip
    people = {user.username: user for user in (trader, viewer, outsider, operator, officer)}
    set_prices({sbin.pk: (LAST_PRICE, clock.now())})
    return Cast(people, account, portfolio, other_account, broker_account, sbin)


class Client(APIClient):
    """Sends bodies as they are spelled and speaks for one person."""

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """`body` is sent as given when it is text, else as JSON."""
        text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        meta = {"HTTP_" + name.upper(): value for name, value in headers.items()}
        return self.generic(method, path, text, content_type="application/json", **meta)


def client_of(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {log_in(user).access}")
    return client


@pytest.fixture
def client_for(cast: Cast) -> Callable[[str], Client]:
    """A client that speaks for a person by name; `nobody` is not logged in."""
    return lambda name: client_of(cast.people.get(name))


@pytest.fixture
def as_trader(cast: Cast) -> Client:
    return client_of(cast.trader)


@pytest.fixture
def as_operator(cast: Cast) -> Client:
    return client_of(cast.operator)


def limit_buy(**changes: Any) -> dict[str, Any]:
    """The body of a LIMIT BUY of ten SBIN for DEMO that every rule lets through."""
    body = {"accountId": "DEMO", "symbol": "SBIN", "side": "BUY", "type": "LIMIT", "quantity": 10, "price": 999.95}
    return {**body, **changes}


@pytest.fixture
def placed(as_trader: Client) -> dict[str, Any]:
    """An order that was accepted and has not left the house."""
    answer = as_trader.send("POST", ORDERS, limit_buy())
    assert answer.status_code == 201, answer.content
    document: dict[str, Any] = answer.json()
    return document


def fill(order_id: str, *trades: tuple[int, str]) -> Order:
    """Send the order and let the broker report trades of (quantity, price); complete when they add up."""
    order = send(Order.objects.get(pk=order_id))
    reported = [trade(order, number, quantity, price) for number, (quantity, price) in enumerate(trades, start=1)]
    is_complete = sum(quantity for quantity, _ in trades) == order.quantity
    see(order, BrokerStatus.COMPLETE if is_complete else BrokerStatus.OPEN, reported)
    return fresh(order)
