"""A poll compares what may be news and nothing else, whatever way the news shows."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from orders.gateway import known_book
from orders.gateway.known_book import KnownBook
from orders.models import Order
from orders.tests.factories import row, trade
from orders.types import BrokerStatus


def order(number):
    return Order(
        broker_order_id=f"B{number}", tag=f"TAG{number}", exchange="NSE", symbol="SBIN", side="BUY", product="CNC",
        variety="regular", quantity=D(10), price=D(1000), type="LIMIT", time_in_force="DAY",
    )  # fmt: skip


OPEN, COMPLETE = row(order(1), BrokerStatus.OPEN), row(order(2), BrokerStatus.COMPLETE, filled=10, average=D(1000))
TRADES = [trade(order(2), 1, 4), trade(order(2), 2, 6)]
BOOK = [OPEN, COMPLETE]


@pytest.fixture
def known():
    book = KnownBook()
    assert book.news(BOOK, TRADES, changing=()) == (BOOK, TRADES)
    book.learn(BOOK, TRADES, said_something=())
    return book


def test_what_was_compared_and_said_nothing_is_no_news(known):
    assert known.news(BOOK, TRADES, changing=()) == ([], [])
    again = [replace(one) for one in BOOK]
    assert known.news(again, [replace(one) for one in TRADES], changing=()) == ([], [])


def test_a_row_that_differs_is_news_with_all_its_trades(known):
    other = replace(COMPLETE, message="Settled")
    assert known.news([OPEN, other], TRADES, changing=()) == ([other], TRADES)


def test_a_new_row_is_news(known):
    new = row(order(3), BrokerStatus.OPEN)
    assert known.news([*BOOK, new], TRADES, changing=()) == ([new], [])


@pytest.mark.parametrize("trades", [[TRADES[0], replace(TRADES[1], price=D(999))], [*TRADES, trade(order(2), 3, 1)]])
def test_trades_that_differ_bring_their_order_though_its_row_is_the_same(known, trades):
    assert known.news(BOOK, trades, changing=()) == ([COMPLETE], trades)


def test_an_order_with_a_change_under_way_is_always_compared(known):
    assert known.news(BOOK, TRADES, changing={"B1"}) == ([OPEN], [])


def test_a_row_that_said_something_is_compared_once_more(known):
    other = replace(OPEN, message="x")
    known.learn([other, COMPLETE], TRADES, said_something={"B1"})
    assert known.news([other, COMPLETE], TRADES, changing=()) == ([other], [])
    known.learn([other, COMPLETE], TRADES, said_something=())
    assert known.news([other, COMPLETE], TRADES, changing=()) == ([], [])


def test_now_and_then_everything_is_compared(known, monkeypatch):
    monkeypatch.setattr(known_book, "FORGET_SECONDS", -1.0)
    known.learn(BOOK, TRADES, said_something=())
    assert known.news(BOOK, TRADES, changing=()) == (BOOK, TRADES)
