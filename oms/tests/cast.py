"""The named cast of the tests, by role. A pytest plugin, with the database that really commits.

`trader` trades DEMO, `dealer` acts for the trader on it, `viewer` may only look at it, `outsider` trades
OTHER, `operator` and `officer` are staff. Legal states of orders are built by calling services:
`orders/tests/factories.py`.
"""

from decimal import Decimal
from typing import Any

import pytest

from oms.tests.committed import committed_db, empty_db

__all__ = ["committed_db", "empty_db"]


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """A good password hash takes a quarter of a second, many times in a test."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def trader(db: None, account: Any) -> Any:
    return _member("trader", account, "TRADER")


@pytest.fixture
def dealer(db: None, account: Any) -> Any:
    return _member("dealer", account, "TRADER")


@pytest.fixture
def viewer(db: None, account: Any) -> Any:
    return _member("viewer", account, "VIEWER")


@pytest.fixture
def outsider(db: None, other_account: Any) -> Any:
    return _member("outsider", other_account, "TRADER")


@pytest.fixture
def operator(db: None) -> Any:
    return _staff("operator", "operator")


@pytest.fixture
def officer(db: None) -> Any:
    return _staff("officer", "compliance")


@pytest.fixture
def account(db: None, broker_account: Any) -> Any:
    """DEMO: every product, one portfolio DEMO-1 with ₹10,00,000, routed to the paper broker account."""
    return broker_account.default_account


@pytest.fixture
def portfolio(account: Any) -> Any:
    return account.portfolios.get()


@pytest.fixture
def other_account(db: None, broker_account: Any) -> Any:
    """OTHER: somebody else's, with OTHER-1 and ₹10,00,000, routed the same way."""
    return _account("OTHER", broker_account)


@pytest.fixture
def broker_account(db: None) -> Any:
    """A paper broker account, logged in, whose market never closes."""
    from orders.models import BrokerAccount, Routing

    account = _account("DEMO", None)
    row = BrokerAccount.objects.create(
        name="Paper", kind="PAPER", trading_hours="ALWAYS", root_url="http://127.0.0.1:9", client_id="PX0001",
        api_key="paper", api_secret="paper-secret", access_token="token", session_state="OPEN",
        default_account=account,
    )  # fmt: skip
    Routing.objects.create(account=account, broker_account=row)
    return row


@pytest.fixture
def sbin(db: None) -> Any:
    """An equity: tick 0.05, band 900–1100, freeze quantity 100,000."""
    return _instrument("NSE", "SBIN", token=779521)


@pytest.fixture
def infy(db: None) -> Any:
    return _instrument("NSE", "INFY", token=408065)


@pytest.fixture
def nifty_future(db: None) -> Any:
    """A future: lot 75, expiring far away."""
    from datetime import date

    return _instrument(
        "NFO", "NIFTY27DECFUT", token=1, type="FUT", segment="NFO-FUT", lot_size=75, expiry=date(2099, 12, 28),
        lower_circuit=Decimal(20000), upper_circuit=Decimal(30000),
    )  # fmt: skip


def _member(name: str, account: Any, role: str) -> Any:
    from django.contrib.auth import get_user_model

    from compliance.models import Membership

    user = get_user_model().objects.create_user(name, password=f"{name}-demo")
    Membership.objects.create(account=account, user=user, role=role)
    return user


def _staff(name: str, group: str) -> Any:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group

    from oms.staff.groups import ensure_groups

    ensure_groups()
    user = get_user_model().objects.create_user(name, password=f"{name}-demo", is_staff=True)
    user.groups.set(Group.objects.filter(name=group))
    return user


def _account(code: str, broker_account: Any) -> Any:
    from compliance.models import Account
    from ledger.models import CapitalAccount
    from ledger.services.capital import deposit
    from oms.lib.actors import SYSTEM
    from oms.lib.clock import now
    from orders.models import Routing

    account = Account.objects.create(code=code, name=code.title(), products=["CNC", "MIS", "NRML"], ucc=f"UCC-{code}")
    portfolio = CapitalAccount.objects.create(code=f"{code}-1", name="First", account=account)
    deposit(portfolio, Decimal(1_000_000), key=code, reason="opening", user=None, actor=SYSTEM, at=now())
    if broker_account is not None:
        Routing.objects.create(account=account, broker_account=broker_account)
    return account


def _instrument(exchange: str, symbol: str, **given: Any) -> Any:
    from ledger.models import Instrument
    from oms.lib.clock import now

    fields: dict[str, Any] = {
        "name": symbol, "segment": exchange, "tick_size": Decimal("0.05"), "lot_size": 1,
        "freeze_quantity": Decimal(100_000), "lower_circuit": Decimal(900), "upper_circuit": Decimal(1100),
        "updated_at": now(),
    }  # fmt: skip
    return Instrument.objects.create(exchange=exchange, symbol=symbol, **(fields | given))
