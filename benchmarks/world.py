"""What is traded on: eight accounts with plenty of capital, one trader, and broker accounts with and without a session.

Made through the product's services where they exist. Needs `stack.join` first, as does all that imports this.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.db import connection

from benchmarks.http_client import Body, Connection
from benchmarks.stack import Stack
from compliance.models import Account, Membership
from compliance.services.controls import set_limits
from ledger.models import CapitalAccount, Instrument
from ledger.services.capital import deposit
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.gateway import logins
from orders.models import BrokerAccount, Order, Routing
from orders.services.placement import Intent, place_orders
from orders.states import State
from orders.types import OrderRequest, OrderType, Side

CLIENTS = 8
RUPEES = Decimal(100_000_000)
DEPOSITS = 20
#: The exchange's own client pays for every fill of all runs together.
CASH_AT_THE_EXCHANGE = 10**12
SYMBOL = "SBIN"
NAME = "bench"
#: The default limits stay in force, but wide: the work of checking them is part of an order.
LIMITS = {"max_order_value": RUPEES, "max_orders_per_second": 1_000_000, "duplicate_window_seconds": 0}
SETTLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class World:
    """The accounts in order; `paper` is the demo's broker account with its session, `nowhere` never has one.

    `price` is a LIMIT price in rupees at which a BUY crosses; the market is frozen below it.
    """

    stack: Stack
    accounts: list[Account]
    portfolios: list[CapitalAccount]
    paper: BrokerAccount
    nowhere: BrokerAccount
    token: str
    price: Decimal

    def body(self, account: int) -> Body:
        """Orders of one account: a CNC LIMIT BUY that the market would fill, never twice the same in a row."""
        order = {
            "accountId": self.accounts[account].code, "symbol": SYMBOL, "exchange": "NSE", "side": "BUY",
            "type": "LIMIT", "product": "CNC", "price": str(self.price),
        }  # fmt: skip
        bodies = [json.dumps(order | {"quantity": str(quantity)}).encode() for quantity in range(1, 10)]
        return lambda n: bodies[n % len(bodies)]

    def request(self, account: int, quantity: int) -> OrderRequest:
        """The same order as a service is given it."""
        return OrderRequest(
            account=self.accounts[account].code, exchange="NSE", symbol=SYMBOL, side=Side.BUY, type=OrderType.LIMIT,
            quantity=Decimal(quantity), price=self.price,
        )  # fmt: skip

    def session(self) -> BrokerAccount:
        """The paper exchange's account with the token of its latest login."""
        return BrokerAccount.objects.get(pk=self.paper.pk)

    def route(self, broker_account: BrokerAccount) -> None:
        """Send the orders of all accounts there from now on."""
        Routing.objects.filter(account__in=self.accounts).update(broker_account=broker_account)


def build(stack: Stack) -> World:
    """Make everything in a stack that has just been started."""
    user = get_user_model().objects.create_user(NAME, password=NAME)
    paper = BrokerAccount.objects.get(kind="PAPER")
    for limit in ("per_second", "per_minute", "per_day"):
        setattr(paper, f"orders_{limit}", 0)
    paper.other_calls_per_second = 0
    paper.save(
        update_fields=["orders_per_second", "orders_per_minute", "orders_per_day", "other_calls_per_second"]
    )  # fmt: skip
    nowhere = BrokerAccount.objects.create(
        name="Nowhere", kind="KITE", trading_hours=BrokerAccount.Hours.ALWAYS,
        root_url="http://127.0.0.1:9", client_id="ZZ0000", api_key=NAME, api_secret=NAME,
        default_account=paper.default_account,
    )  # fmt: skip
    stack.exchange("/clients", {"user_id": paper.client_id, "cash": CASH_AT_THE_EXCHANGE})
    accounts = [_account(f"BENCH{n}", user.pk, paper) for n in range(CLIENTS)]
    portfolios = list(CapitalAccount.objects.filter(account__in=accounts).order_by("pk"))
    set_limits("HOUSE", values=LIMITS, user=None, actor=SYSTEM, at=now(), reason="As fast as it goes")
    answer = Connection(stack.web_port).json("POST", "/api/v1/auth/token", {"username": NAME, "password": NAME})
    return World(stack, accounts, portfolios, paper, nowhere, answer["access"], _freeze(stack))


def _account(code: str, user_id: int, broker_account: BrokerAccount) -> Account:
    account = Account.objects.create(code=code, name=code, kind=Account.Kind.CLIENT, ucc=code, products=["CNC"])
    Membership.objects.create(account=account, user_id=user_id, role=Membership.Role.TRADER)
    Routing.objects.create(account=account, broker_account=broker_account)
    portfolio = CapitalAccount.objects.create(account=account, code=f"{code}-1", name=code)
    for n in range(DEPOSITS):
        deposit(portfolio, RUPEES, key=f"{code}:{n}", reason="To trade with", user=None, actor=SYSTEM, at=now())
    return account


def _freeze(stack: Stack) -> Decimal:
    """Stop the instrument's price where it is, with volume enough for everybody; returns a crossing LIMIT price."""
    deadline = time.monotonic() + SETTLE_SECONDS
    wanted = Instrument.objects.filter(exchange="NSE", symbol=SYMBOL, upper_circuit__isnull=False)
    while not wanted.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"NSE:{SYMBOL} did not arrive from the paper exchange")
        time.sleep(0.1)
    instrument = wanted.get()
    lower, upper = instrument.lower_circuit or Decimal(0), instrument.upper_circuit or Decimal(0)
    price = (lower + upper) / 2
    price -= price % instrument.tick_size
    market = {"last_price": float(price), "freeze": True, "volume_per_tick": 1_000_000_000}
    stack.exchange("/prices", {f"NSE:{SYMBOL}": market})
    return price + 10 * instrument.tick_size


def log_out(world: World) -> None:
    """Close the broker session: nothing is sent, polled or quoted until `log_in`."""
    logins.log_out(world.paper.pk, user=None, actor=SYSTEM, at=now(), reason="To measure without it")


def log_in(world: World) -> None:
    """Open it again."""
    logins.auto_login(world.paper.pk, at=now())


def place(requests: Sequence[OrderRequest]) -> list[Order]:
    """A list through the service, as the house; all of it accepted."""
    placements = place_orders([Intent(request, SYSTEM) for request in requests], at=now())
    orders = [placement.order for placement in placements if placement.order is not None]
    accepted = [order for order in orders if order.state == State.CREATED]
    assert len(accepted) == len(requests), {order.rejection_reason for order in orders}
    return accepted


def settled() -> None:
    """Let the database do now what it would do in the middle of the next measurement; no plan is made better by it."""
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")
