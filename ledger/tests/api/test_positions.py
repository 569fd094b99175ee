"""GET /positions and /instruments: exact figures, day counters of today alone, pages that add up."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ledger.api.instruments import age
from ledger.market.prices import set_prices
from ledger.models import Instrument, Position
from oms.lib import clock
from oms.tests.api_cast import Cast, Client
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus, Side

POSITIONS, INSTRUMENTS = "/api/v1/positions", "/api/v1/instruments"


def deal(side: Side, quantity: int, price: int, **given: Any) -> None:
    order = send(place(side=side, quantity=Decimal(quantity), price=Decimal(price), **given))
    see(order, BrokerStatus.COMPLETE, [trade(order, order.tag, quantity, price)])  # type: ignore[arg-type]


def positions(client: Client, **query: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = client.get(POSITIONS, query).json(parse_float=Decimal)["content"]
    return content


def test_a_short_position_is_negative_and_gains_as_prices_fall(cast: Cast, as_trader: Client) -> None:
    deal(Side.SELL, 10, 1000, product="MIS")
    set_prices({cast.instrument.pk: (Decimal(990), clock.now())})
    [position] = positions(as_trader)
    assert (position["quantity"], position["marketValue"], position["unrealisedPnl"]) == (-10, -9900, 100)
    assert (position["daySellQuantity"], position["daySellValue"], position["dayBuyQuantity"]) == (10, 10_000, 0)


def test_what_was_traded_yesterday_does_not_count_today(cast: Cast, as_trader: Client) -> None:
    deal(Side.BUY, 10, 1000)
    Position.objects.update(day=date(2026, 1, 2))
    [position] = positions(as_trader)
    assert (position["dayBuyQuantity"], position["dayBuyValue"]) == (0, 0)
    assert (position["quantity"], position["averagePrice"]) == (10, 1000), "what is held is held"


def test_units_that_are_promised_to_a_sale_are_told(cast: Cast, as_trader: Client) -> None:
    deal(Side.BUY, 10, 1000)
    place(side=Side.SELL, quantity=Decimal(4), price=Decimal(1010))
    [position] = positions(as_trader)
    assert (position["quantity"], position["reservedQuantity"]) == (10, 4)


def test_realised_profit_stays_with_a_flat_position(cast: Cast, as_trader: Client) -> None:
    deal(Side.BUY, 10, 1000)
    deal(Side.SELL, 10, 1010)
    [position] = positions(as_trader)
    assert (position["quantity"], position["realisedPnl"], position["allocatedCapital"]) == (0, 100, 0)


def test_without_a_price_nothing_is_valued(cast: Cast, as_trader: Client, infy: Instrument) -> None:
    deal(Side.BUY, 10, 1000, symbol="INFY")
    [position] = positions(as_trader, symbol="INFY")
    assert not {"lastPrice", "lastPriceAt", "lastPriceAge", "marketValue", "unrealisedPnl"} & position.keys()


def test_everybody_sees_their_own_in_the_order_of_accounts_and_symbols(
    cast: Cast, client_for: Callable[[str], Client], infy: Instrument
) -> None:
    for account in ("OTHER", "DEMO"):
        for symbol in ("SBIN", "INFY"):
            deal(Side.BUY, 1, 1000, account=account, symbol=symbol)
    every = [("DEMO", "INFY"), ("DEMO", "SBIN"), ("OTHER", "INFY"), ("OTHER", "SBIN")]
    for name, seen in (
        ("trader", every[:2]), ("viewer", every[:2]), ("outsider", every[2:]), ("operator", every), ("officer", every),
    ):  # fmt: skip
        assert [(one["accountId"], one["symbol"]) for one in positions(client_for(name))] == seen
    paged = [positions(client_for("operator"), page=str(n), size="1")[0] for n in range(4)]
    assert [(one["accountId"], one["symbol"]) for one in paged] == every


@pytest.mark.parametrize(
    "query", [{"size": "0"}, {"page": "x"}, {"accountId": "x" * 37}, {"product": "FIVE5"}, {"colour": "blue"}]
)
def test_a_wrong_query_is_named(as_trader: Client, query: dict[str, str]) -> None:
    answer = as_trader.get(POSITIONS, query)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}" for name in query]


class TestInstruments:
    def test_a_contract_has_its_expiry_and_what_is_not_set_is_absent(
        self, cast: Cast, as_trader: Client, nifty_future: Instrument
    ) -> None:
        document = as_trader.get(f"{INSTRUMENTS}/NFO/{nifty_future.symbol}").json(parse_float=Decimal)
        assert (document["expiry"], document["lotSize"], document["type"]) == ("2099-12-28", 75, "FUT")
        assert not {"strike", "lastPrice", "previousClose"} & document.keys()
        [listed] = as_trader.get(INSTRUMENTS, {"type": "FUT"}).json(parse_float=Decimal)["content"]
        assert listed == document

    @pytest.mark.parametrize("query", [{"exchange": "LSE"}, {"type": "BOND"}, {"symbol": "x" * 41}, {"tick": "1"}])
    def test_a_wrong_search_is_named(self, as_trader: Client, query: dict[str, str]) -> None:
        answer = as_trader.get(INSTRUMENTS, query)
        assert answer.status_code == 400
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{name}" for name in query]

    @pytest.mark.parametrize(
        ("seconds", "shown"), [(0, "0.000"), (1.5, "1.500"), (-3, "0"), (0.0004, "0.000"), (90061.25, "90061.250")]
    )
    def test_an_age_is_in_seconds_and_never_negative(self, seconds: float, shown: str) -> None:
        at = clock.now()
        assert age(at - timedelta(seconds=seconds), at) == Decimal(shown)
