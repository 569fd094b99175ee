"""The made-up broker in its place: one line tells the whole system of it."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from ledger.services.instruments import sync_instruments
from oms.lib.actors import SYSTEM
from oms.lib.clock import IST, now
from orders import broker_rules
from orders.brokers import registry
from orders.brokers.base import InstrumentRow
from orders.models import BrokerAccount
from orders.services.broker_accounts import add_broker_account
from orders.services.routing import change_routing
from orders.tests.brokers.made_up.adapter import made_up
from orders.tests.brokers.made_up.house import CLIENT, KEY, SECRET, MadeUpHouse

#: A Friday, when the exchanges trade.
MORNING = datetime(2026, 11, 20, 11, 30, tzinfo=IST)
EXPIRY = "2026-12-29"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> MadeUpHouse:
    """The broker, which spells what it lists in its own way, and one share more than others do."""
    house = MadeUpHouse(
        listed=[
            {"mkt": "NSE", "ins": "SBIN-A", "tok": "E1", "of": "State Bank", "number": 3045, "step": "0.05", "lot": 1,
             "last": "1000"},
            {"mkt": "NFO", "ins": "NIFTY-DEC-F", "tok": "F9", "of": "NIFTY", "number": 0, "step": "0.1", "lot": 75,
             "last": "26000", "ends": EXPIRY},
            {"mkt": "NSE", "ins": "ONLYHERE", "tok": "E2", "of": "Only Here", "number": 99, "step": "0.05", "lot": 1,
             "last": "50"},
        ],
        cellar=[{"mkt": "NSE", "ins": "SBIN-A", "units": "7", "paid": "900.50"}],
    )  # fmt: skip
    kind = made_up(house)
    # What a line `register("MADEUP", ...)` in the registry does, for the length of a test.
    monkeypatch.setitem(registry.KINDS, "MADEUP", kind)
    monkeypatch.setitem(broker_rules.RULES, "MADEUP", kind.rules)
    return house


@pytest.fixture
def made_up_account(house: MadeUpHouse, account: Any, time_machine: Any) -> BrokerAccount:
    """DEMO's login at the made-up broker, through which its orders go; SBIN and NIFTY26DECFUT are on file."""
    time_machine.move_to(MORNING)
    share = InstrumentRow(
        token="779521", exchange="NSE", symbol="SBIN", name="STATE BANK OF INDIA", type="EQ", segment="NSE",
        tick_size=Decimal("0.05"), lot_size=1, strike=None, expiry=None, last_price=Decimal(1000), exchange_token=3045,
    )  # fmt: skip
    future = InstrumentRow(
        token="9", exchange="NFO", symbol="NIFTY26DECFUT", name="NIFTY", type="FUT", segment="NFO-FUT",
        tick_size=Decimal("0.1"), lot_size=75, strike=None, expiry=datetime.fromisoformat(EXPIRY).date(),
        last_price=Decimal(26000), exchange_token=40001,
    )  # fmt: skip
    sync_instruments("KITE", [share, future], at=now())
    by: dict[str, Any] = {"user": None, "actor": SYSTEM, "at": now(), "reason": "another broker"}
    fields = {
        "name": "Made up", "kind": "MADEUP", "root_url": "https://api.made-up.example", "client_id": CLIENT,
        "api_key": KEY, "api_secret": SECRET,
    }  # fmt: skip
    added = add_broker_account(account.pk, fields=fields, **by)
    change_routing(account.pk, broker_account_id=added.pk, **by)
    return added
