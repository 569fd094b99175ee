"""What the passing of time does to orders and positions, step by step and without waiting for it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from orders.brokers.paper.clock import IST
from orders.brokers.paper.day import LAPSED, TTL_OVER
from orders.tests.brokers.paper.engine import Engine

MONDAY = datetime(2026, 11, 23, 11, tzinfo=IST)
CLOSE, EVENING = MONDAY.replace(hour=15, minute=30), MONDAY.replace(hour=18)
TUESDAY = MONDAY + timedelta(days=1)
EXPIRED = datetime(2026, 11, 25, 11, tzinfo=IST)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path, "--clock", "market")
    at(engine, MONDAY)
    engine.services.day.check()
    engine.price("NSE:SBIN", 97_000)
    yield engine
    engine.close()


def at(engine: Engine, moment: datetime) -> None:
    engine.services.exchange.clock.frozen_at = moment


def passes(engine: Engine, moment: datetime) -> None:
    """Time goes on to a moment, and the exchange notices."""
    at(engine, moment)
    engine.services.day.check()
    engine.run()


def test_what_is_not_filled_by_the_close_lapses_and_frees_its_money(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    order = engine.place(price=960)
    engine.run()
    passes(engine, CLOSE - timedelta(seconds=1))
    assert engine.order(order).status == "OPEN"
    passes(engine, CLOSE)
    found = engine.order(order)
    assert (found.status, found.status_message) == ("CANCELLED", LAPSED)
    assert account.available == account.cash


def test_a_part_that_was_filled_stays_filled_when_the_rest_lapses(engine: Engine) -> None:
    order = engine.place(price=970, quantity=10)
    engine.price("NSE:SBIN", 97_000, per_tick=4)
    engine.run()
    passes(engine, CLOSE)
    found = engine.order(order)
    assert (found.status, found.filled_quantity, found.row()["cancelled_quantity"]) == ("CANCELLED", 4, 6)


def test_a_time_to_live_ends_at_its_minute(engine: Engine) -> None:
    order = engine.place(price=960, validity="TTL", validity_ttl=3)
    engine.run()
    passes(engine, MONDAY + timedelta(minutes=2, seconds=59))
    assert engine.order(order).status == "OPEN"
    passes(engine, MONDAY + timedelta(minutes=3))
    found = engine.order(order)
    assert (found.status, found.status_message) == ("CANCELLED", TTL_OVER)


def test_an_after_market_order_waits_for_the_open_and_belongs_to_that_day(engine: Engine) -> None:
    at(engine, EVENING)
    order = engine.place("amo", price=960)
    engine.run()
    engine.services.day.check()
    assert engine.order(order).status == "AMO REQ RECEIVED"
    passes(engine, TUESDAY.replace(hour=9, minute=14, second=59))
    assert engine.order(order).status == "AMO REQ RECEIVED"
    passes(engine, TUESDAY.replace(hour=9, minute=15))
    found = engine.order(order)
    assert (found.status, found.day) == ("OPEN", "2026-11-24")


def test_intraday_positions_do_not_outlive_the_day(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    engine.place(price=970, product="MIS")
    engine.run()
    assert account.net("NSE:SBIN", "MIS") == 10
    passes(engine, TUESDAY)
    assert account.net("NSE:SBIN", "MIS") == 0
    assert account.debits == 0


def test_a_future_is_carried_until_it_expires(engine: Engine) -> None:
    account, lot = engine.services.accounts["PX0001"], 65
    key = "NFO:NIFTY26NOVFUT"
    engine.price(key, 2_600_000)
    engine.place(exchange="NFO", tradingsymbol="NIFTY26NOVFUT", product="NRML", quantity=lot, price=26_000)
    engine.run()
    assert account.net(key, "NRML") == lot
    passes(engine, TUESDAY)
    assert (account.net(key, "NRML"), account.positions[key, "NRML"].overnight_quantity) == (lot, lot)
    passes(engine, EXPIRED)
    assert account.net(key, "NRML") == 0
    assert account.debits == 0


def test_deliveries_become_holdings_overnight(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    before = account.holdings["NSE:SBIN"].quantity
    engine.place(price=970, quantity=7)
    engine.run()
    passes(engine, TUESDAY)
    holding = account.holdings["NSE:SBIN"]
    assert (holding.quantity, holding.t1_quantity) == (before, 7)
    assert ("NSE:SBIN", "CNC") not in account.positions


def test_a_new_day_starts_from_the_last_price_and_an_empty_book(engine: Engine) -> None:
    gone, kept = engine.place(price=970), engine.place(price=960)
    engine.run()
    engine.price("NSE:SBIN", 97_500)
    passes(engine, TUESDAY)
    quote = engine.services.market.quotes[779521]
    assert (quote.close, quote.open, quote.volume) == (97_500, 97_500, 0)
    assert not {gone, kept} & engine.services.book.orders.keys()
    assert engine.services.store.owner(gone) == "PX0001", "the file remembers what the book forgets"
    assert engine.services.day.current == "2026-11-24"


def test_the_day_is_turned_once(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    engine.place(price=970, quantity=7)
    engine.run()
    passes(engine, TUESDAY)
    figures = (account.cash, account.holdings["NSE:SBIN"].t1_quantity)
    passes(engine, TUESDAY + timedelta(minutes=1))
    assert (account.cash, account.holdings["NSE:SBIN"].t1_quantity) == figures
