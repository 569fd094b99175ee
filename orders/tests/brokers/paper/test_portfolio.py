"""Kite's identities of positions, holdings and funds, for whatever was traded at whatever prices."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.account import Account, Holding
from orders.brokers.paper.clock import Clock
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.market import Market, PriceChange
from orders.brokers.paper.portfolio import commodity_funds, funds, holding_row, position_row, positions

CATALOGUE = Catalogue.read()
SBIN, FUTURE = CATALOGUE.by_key["NSE:SBIN"], CATALOGUE.by_key["NFO:NIFTY26NOVFUT"]
MARKET = Market(CATALOGUE, 1, {})
MARKET.change(PriceChange("NSE:SBIN", 97_000, True, 1000, rebase=True))
day = st.lists(st.tuples(st.booleans(), st.integers(1, 300), st.integers(90_000, 104_000)), max_size=10)


def client(*, cash: int = 10**10, units: int = 0) -> Account:
    held = {SBIN.key: Holding(SBIN.key, units, cost=units * 90_000)} if units else {}
    return Account("PX0001", "Paper Trader", cash, cash, holdings=held)


def trade(account: Account, trades: Any, product: str = "MIS") -> None:
    for is_buy, quantity, price in trades:
        account.trade(SBIN, product, is_buy, quantity, price)


def close(one: float, other: float) -> bool:
    return abs(one - other) < 0.02


@given(day, day)
def test_a_position_keeps_kites_identities(yesterday: Any, today: Any) -> None:
    account = client()
    trade(account, yesterday)
    account.roll()
    trade(account, today)
    for position in account.positions.values():
        for only_today in (False, True):
            row = position_row(position, CATALOGUE, MARKET, only_today)
            assert row["quantity"] == row["buy_quantity"] - row["sell_quantity"]
            assert close(row["value"], row["sell_value"] - row["buy_value"])
            assert close(row["pnl"], row["value"] + row["quantity"] * row["last_price"])
            assert close(row["m2m"], row["sell_m2m"] - row["buy_m2m"] + row["quantity"] * row["last_price"])
            assert close(row["buy_value"], row["buy_price"] * row["buy_quantity"])
            assert close(row["day_sell_value"], row["day_sell_price"] * row["day_sell_quantity"])
            assert row["unrealised"] == row["pnl"]


@given(day, day)
def test_the_day_alone_leaves_yesterday_out(yesterday: Any, today: Any) -> None:
    account = client()
    trade(account, yesterday)
    account.roll()
    carried = account.net(SBIN.key, "MIS")
    trade(account, today)
    shown = positions(account, CATALOGUE, MARKET)
    assert {row["overnight_quantity"] for row in shown["net"]} <= {carried}
    assert all(row["overnight_quantity"] == 0 and row["close_price"] == 0 for row in shown["day"])
    assert bool(shown["day"]) == bool(today)
    for row in shown["day"]:
        assert row["quantity"] == sum(quantity if is_buy else -quantity for is_buy, quantity, _ in today)


@pytest.mark.parametrize(
    ("trades", "quantity", "average", "pnl"),
    [
        ([(True, 10, 96_000)], 10, 960, 100),  # the last price is 970
        ([(False, 10, 96_000)], -10, 960, -100),
        ([(True, 10, 96_000), (False, 10, 98_000)], 0, 0, 200),
        ([(True, 10, 96_000), (True, 30, 98_000)], 40, 975, -200),
    ],
)
def test_a_position_is_worth_what_it_would_fetch(trades: Any, quantity: int, average: float, pnl: float) -> None:
    account = client()
    trade(account, trades)
    [row] = positions(account, CATALOGUE, MARKET)["net"]
    assert (row["quantity"], row["average_price"], row["pnl"]) == (quantity, average, pnl)


@pytest.mark.parametrize(("sold", "used"), [(0, 0), (4, 4), (10, 10)])
def test_units_sold_today_stay_in_the_holding_and_are_counted_as_used(sold: int, used: int) -> None:
    account = client(units=10)
    if sold:
        trade(account, [(False, sold, 97_000)], "CNC")
    row = holding_row(account, account.holdings[SBIN.key], CATALOGUE, MARKET, Clock())
    assert (row["quantity"], row["used_quantity"], row["opening_quantity"]) == (10, used, 10)
    assert (row["average_price"], row["last_price"], row["pnl"]) == (900, 970, 700)


def test_what_was_bought_yesterday_is_held_but_not_settled() -> None:
    account = client()
    trade(account, [(True, 5, 96_000)], "CNC")
    account.roll()
    row = holding_row(account, account.holdings[SBIN.key], CATALOGUE, MARKET, Clock())
    assert (row["quantity"], row["t1_quantity"], row["opening_quantity"], row["average_price"]) == (0, 5, 5, 960)
    account.roll()
    row = holding_row(account, account.holdings[SBIN.key], CATALOGUE, MARKET, Clock())
    assert (row["quantity"], row["t1_quantity"]) == (5, 0)


@given(day)
def test_what_is_left_is_cash_less_what_is_held_back(trades: Any) -> None:
    account = client()
    trade(account, trades)
    account.trade(FUTURE, "NRML", True, FUTURE.lot_size, 2_600_000)
    shown = funds(account)
    available, utilised = shown["available"], shown["utilised"]
    assert shown["net"] == available["live_balance"]
    assert close(shown["net"], available["cash"] - utilised["debits"])
    assert available["opening_balance"] == 10**8
    assert utilised["span"] > 0
    assert utilised["exposure"] > 0
    assert utilised["span"] + utilised["exposure"] <= utilised["debits"]


def test_the_commodity_segment_is_there_and_empty() -> None:
    shown = commodity_funds()
    assert shown["enabled"]
    assert {shown["net"], *shown["available"].values(), *shown["utilised"].values()} == {0}
