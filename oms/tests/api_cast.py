"""The people, accounts and instruments of the API's tests, and clients that speak for each of them.

`trader` trades account ALPHA (portfolio ALPHA-1) and `viewer` may look at it; `outsider` trades OMEGA;
`operator` and `officer` are staff. Both accounts go to a paper login whose market never closes.
Import what a folder needs in its conftest.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from rest_framework.test import APIClient

from compliance.api.authentication import log_in
from compliance.models import Account, Membership
from ledger.models import Bucket, CapitalAccount, CapitalEntry, Instrument
from ledger.prices import set_prices
from ledger.services.books import Books
from oms.lib import clock
from oms.lib.actors import SYSTEM
from orders.models import BrokerAccount, Order, Routing
from orders.services.execution import apply_book
from orders.services.submission import answer_place, claim_orders
from orders.types import Accepted, BrokerStatus, OrderSnapshot, OrderType, Side, Terms, TimeInForce, TradeSnapshot

CAPITAL = Decimal(1_000_000)
ORDERS = "/api/v1/orders"


@dataclass(frozen=True)
class Cast:
    trader: User
    viewer: User
    outsider: User
    operator: User
    officer: User
    account: Account
    portfolio: CapitalAccount
    other_account: Account
    other_portfolio: CapitalAccount
    instrument: Instrument
    broker_account: BrokerAccount

    @property
    def people(self) -> dict[str, User]:
        return {name: getattr(self, name) for name in ("trader", "viewer", "outsider", "operator", "officer")}


def make_cast() -> Cast:
    """Write the cast; for tests on a committed database, which have no use for the fixture."""
    at = clock.now()
    people = {name: User.objects.create(username=name, password=f"!{name}") for name in
              ("trader", "viewer", "outsider", "operator", "officer")}  # fmt: skip
    for name, group in (("operator", "operator"), ("officer", "compliance")):
        people[name].groups.add(Group.objects.get_or_create(name=group)[0])
    account, portfolio = _account("ALPHA", {people["trader"]: "TRADER", people["viewer"]: "VIEWER"})
    other_account, other_portfolio = _account("OMEGA", {people["outsider"]: "TRADER"})
    broker_account = BrokerAccount.objects.create(
        name="Paper", kind="PAPER", trading_hours="ALWAYS", root_url="http://127.0.0.1:9", client_id="PX1",
        api_key="paper", api_secret="secret", default_account=account, session_state="OPEN", polled_at=at,
    )  # fmt: skip
    for one in (account, other_account):
        Routing.objects.create(account=one, broker_account=broker_account)
    instrument, _ = Instrument.objects.get_or_create(
        exchange="NSE", symbol="SBIN",
        defaults={
            "name": "STATE BANK OF INDIA", "segment": "NSE", "token": 779521, "updated_at": at,
            "lower_circuit": Decimal(720), "upper_circuit": Decimal(880),
        },
    )  # fmt: skip
    set_prices({instrument.pk: (Decimal("800.05"), at)})
    return Cast(
        **people, account=account, portfolio=portfolio, other_account=other_account, other_portfolio=other_portfolio,
        instrument=instrument, broker_account=broker_account,
    )  # fmt: skip


def _account(code: str, members: dict[User, str]) -> tuple[Account, CapitalAccount]:
    account = Account.objects.create(code=code, name=f"Account {code}", ucc=f"U-{code}", products=["CNC", "MIS"])
    for user, role in members.items():
        Membership.objects.create(account=account, user=user, role=role)
    portfolio = CapitalAccount.objects.create(account=account, code=f"{code}-1", name=f"First of {code}")
    with transaction.atomic():
        books = Books.open(portfolio_ids=[portfolio.pk], actor=SYSTEM, at=clock.now())
        books.move(
            books.portfolios[portfolio.pk], CapitalEntry.Kind.DEPOSIT, CAPITAL, Bucket.OUTSIDE, Bucket.FREE,
            key=f"cast:{code}",
        )  # fmt: skip
        books.write()
    return account, portfolio


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


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
def trader(cast: Cast) -> Client:
    return client_of(cast.trader)


@pytest.fixture
def operator(cast: Cast) -> Client:
    return client_of(cast.operator)


def limit_buy(cast: Cast, **changes: Any) -> dict[str, Any]:
    """The body of a LIMIT BUY of ten SBIN that every rule lets through."""
    body = {
        "accountId": cast.account.code, "symbol": "SBIN", "side": "BUY", "type": "LIMIT", "quantity": 10,
        "price": 799.95,
    }  # fmt: skip
    return {**body, **changes}


@pytest.fixture
def body(cast: Cast) -> Callable[..., dict[str, Any]]:
    return lambda **changes: limit_buy(cast, **changes)


@pytest.fixture
def placed(trader: Client, body: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """An order that was accepted and has not left the house."""
    answer = trader.send("POST", ORDERS, body())
    assert answer.status_code == 201, answer.content
    document: dict[str, Any] = answer.json()
    return document


def fill(cast: Cast, order_id: str, *trades: tuple[int, str]) -> Order:
    """Send the order and let the broker report trades of (quantity, price); complete when they add up."""
    at = clock.now()
    claimed = {submission.order_id for submission in claim_orders(cast.broker_account.pk, limit=10, at=at)}
    assert UUID(order_id) in claimed
    broker_order_id = uuid4().hex[:19]
    answer_place(UUID(order_id), Accepted(broker_order_id), at=at)
    order = Order.objects.get(pk=order_id)
    filled = sum(quantity for quantity, _ in trades)
    snapshot = OrderSnapshot(
        broker_order_id=broker_order_id,
        status=BrokerStatus.COMPLETE if filled == order.quantity else BrokerStatus.OPEN,
        raw_status="COMPLETE" if filled == order.quantity else "OPEN",
        tags=(order.tag or "",), exchange=order.exchange, symbol=order.symbol, side=Side(order.side),
        product=order.product, variety=order.variety,
        terms=Terms(order.quantity, order.price, order.stop_price, OrderType(order.type), TimeInForce(order.time_in_force)),
        filled_quantity=Decimal(filled), average_price=Decimal(0),
    )  # fmt: skip
    reported = [
        TradeSnapshot(
            trade_id=f"{broker_order_id}-{number}", broker_order_id=broker_order_id, exchange=order.exchange,
            symbol=order.symbol, side=Side(order.side), product=order.product, quantity=Decimal(quantity),
            price=Decimal(price), traded_at=at, trade_date=clock.ist_date(at),
        )
        for number, (quantity, price) in enumerate(trades)
    ]  # fmt: skip
    apply_book(cast.broker_account.pk, [snapshot], reported, at=clock.now())
    return Order.objects.get(pk=order_id)
