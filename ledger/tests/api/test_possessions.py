"""Accounts, instruments and positions over HTTP."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.models import KillSwitch, RiskLimit
from ledger.market.prices import set_prices
from ledger.models import Instrument
from oms.lib import clock
from oms.tests.api_cast import Cast, Client, fill

ACCOUNTS, INSTRUMENTS, POSITIONS = "/api/v1/accounts", "/api/v1/instruments", "/api/v1/positions"


def test_my_account_says_what_i_may_do(cast: Cast, as_trader: Client) -> None:
    RiskLimit.objects.create(
        scope="ACCOUNT", account=cast.account, version=1, max_order_value=5000, reason="new", created_at=clock.now()
    )
    KillSwitch.objects.create(
        scope="ACCOUNT", account=cast.account, mode="REDUCING", reason="margin call", changed_at=clock.now()
    )
    [account] = as_trader.get(ACCOUNTS).json()["content"]
    assert account["accountId"] == cast.account.code
    assert account["portfolios"] == [{"portfolioId": cast.portfolio.code, "name": cast.portfolio.name}]
    assert account["products"] == ["CNC", "MIS", "NRML"]
    assert account["canTrade"] is True
    assert account["limits"]["maxOrderValue"] == 5000  # stricter than the house's
    assert account["killSwitch"] == {"mode": "REDUCING", "scope": "ACCOUNT", "reason": "margin call"}
    assert "pan" not in str(account).lower()


def test_a_viewer_may_not_trade_and_staff_see_all(cast: Cast, client_for: Callable[[str], Client]) -> None:
    seen = {
        name: {
            account["accountId"]: account["canTrade"] for account in client_for(name).get(ACCOUNTS).json()["content"]
        }
        for name in ("viewer", "outsider", "operator", "officer")
    }
    alpha, omega = cast.account.code, cast.other_account.code
    assert seen == {
        "viewer": {alpha: False},
        "outsider": {omega: True},
        "operator": {alpha: True, omega: True},
        "officer": {alpha: False, omega: False},
    }


def test_accounts_cost_the_same_however_many(cast: Cast, client_for: Callable[[str], Client]) -> None:
    def queries(name: str) -> int:
        client = client_for(name)
        with CaptureQueriesContext(connection) as captured:
            client.get(ACCOUNTS)
        return len(captured)

    assert queries("operator") == queries("trader") <= 8


@pytest.fixture
def instruments(cast: Cast) -> None:
    for exchange, symbol, name in (
        ("BSE", "SBIN", "STATE BANK OF INDIA"), ("NSE", "SBILIFE", "SBI LIFE INSURANCE"), ("NSE", "M&M", "MAHINDRA"),
    ):  # fmt: skip
        Instrument.objects.create(
            exchange=exchange, symbol=symbol, name=name, segment=exchange, token=1, updated_at=clock.now()
        )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"symbol": "sbi"}, ["NSE:SBILIFE", "BSE:SBIN", "NSE:SBIN"]),
        ({"symbol": "SBIN", "exchange": "BSE"}, ["BSE:SBIN"]),
        ({"name": "insur"}, ["NSE:SBILIFE"]),
        ({"symbol": "bin"}, []),
        ({"type": "FUT"}, []),
        ({"symbol": "%"}, []),
    ],
)
def test_searching_instruments(as_trader: Client, instruments: None, query: dict[str, str], found: list[str]) -> None:
    content = as_trader.get(INSTRUMENTS, query).json()["content"]
    assert [f"{one['exchange']}:{one['symbol']}" for one in content] == found


def test_one_instrument_with_its_price_and_how_old_it_is(cast: Cast, as_trader: Client, instruments: None) -> None:
    set_prices({cast.instrument.pk: (Decimal("801.25"), clock.now() - timedelta(seconds=90))})
    document = as_trader.get(f"{INSTRUMENTS}/NSE/SBIN").json(parse_float=Decimal)
    assert (document["lastPrice"], document["tickSize"], document["upperCircuit"]) == (
        Decimal("801.25"), Decimal("0.05"), 1100,
    )  # fmt: skip
    assert 90 <= document["lastPriceAge"] < 120
    unpriced = as_trader.get(f"{INSTRUMENTS}/NSE/M%26M").json()
    assert unpriced["symbol"] == "M&M"
    assert "lastPrice" not in unpriced


@pytest.mark.parametrize("path", ["NSE/NOPE", "XXX/SBIN", "NSE/a%00b", "nse/sbin"])
def test_no_such_instrument(as_trader: Client, instruments: None, path: str) -> None:
    assert as_trader.get(f"{INSTRUMENTS}/{path}").status_code == 404


def test_a_position_is_valued_at_the_last_price(cast: Cast, as_trader: Client, placed: dict[str, Any]) -> None:
    fill(placed["id"], (10, "999.90"))
    set_prices({cast.instrument.pk: (Decimal("1005.15"), clock.now() - timedelta(seconds=3))})

    [position] = as_trader.get(POSITIONS).json(parse_float=Decimal)["content"]
    assert (position["symbol"], position["quantity"], position["averagePrice"]) == ("SBIN", 10, Decimal("999.9"))
    assert (position["marketValue"], position["unrealisedPnl"]) == (Decimal("10051.5"), Decimal("52.5"))
    assert position["allocatedCapital"] == 9999
    assert (position["dayBuyQuantity"], position["dayBuyValue"], position["daySellQuantity"]) == (10, 9999, 0)
    assert position["lastPriceAge"] >= 3


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"accountId": "DEMO"}, 1),
        ({"accountId": "OTHER"}, 0),
        ({"portfolioId": "DEMO-1"}, 1),
        ({"symbol": "NSE:SBIN"}, 1),
        ({"symbol": "BSE:SBIN"}, 0),
        ({"product": "MIS"}, 0),
    ],
)
def test_filtering_positions(
    cast: Cast, as_trader: Client, placed: dict[str, Any], query: dict[str, str], count: int
) -> None:
    fill(placed["id"], (10, "999.90"))
    assert as_trader.get(POSITIONS, query).json()["totalElements"] == count
