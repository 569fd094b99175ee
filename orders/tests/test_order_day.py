"""When the day of an order is over: the same answer in memory and in SQL, through the holidays of 2026."""

from datetime import date, datetime, timedelta

import pytest

from oms.lib.clock import IST
from oms.lib.db import fetch_rows
from orders.models import Order
from orders.order_day import DAY_LASTS, day_parameters, is_over
from orders.types import Variety

pytestmark = pytest.mark.django_db


def noon(text):
    return datetime.fromisoformat(f"2026-{text}T12:00").replace(tzinfo=IST)


def order(variety, exchange, text):
    return Order(variety=variety, exchange=exchange, trade_date=date.fromisoformat(f"2026-{text}"))


@pytest.mark.parametrize(
    ("exchange", "placed", "last_day"),
    [
        ("NSE", "11-23", "11-25"),  # Guru Nanak's birthday lies between
        ("MCX", "11-23", "11-24"),  # whose evening is a session of commodities
        ("NSE", "04-02", "04-06"),  # Good Friday and the weekend after it
        ("NSE", "01-30", "02-01"),  # the Sunday of the budget
        ("CDS", "01-30", "02-02"),  # which is none for currencies
        ("NSE", "11-20", "11-23"),
        ("ELSEWHERE", "11-23", "11-25"),
    ],
)
def test_an_after_market_order_lasts_for_the_next_session_of_its_exchange(exchange, placed, last_day):
    amo = order(Variety.AMO, exchange, placed)
    assert not is_over(amo, noon(last_day))
    assert is_over(amo, noon(last_day) + timedelta(days=1))


def test_any_other_order_lasts_for_its_own_day():
    assert not is_over(order(Variety.REGULAR, "NSE", "11-24"), noon("11-24"))
    assert is_over(order(Variety.REGULAR, "NSE", "11-24"), noon("11-25"))


@pytest.mark.parametrize("variety", [Variety.REGULAR, Variety.AMO])
@pytest.mark.parametrize("exchange", ["NSE", "MCX", "ELSEWHERE"])
def test_the_database_says_the_same_of_every_day_of_the_year(exchange, variety):
    first = date(2026, 1, 2)
    days = [first + timedelta(days=n) for n in range(360)]
    for gap in range(6):
        for day in days[gap::5]:
            at = datetime.combine(day + timedelta(days=gap), datetime.min.time(), IST) + timedelta(hours=12)
            ((lasts,),) = fetch_rows(
                f"SELECT {DAY_LASTS} FROM (VALUES (%(v)s, %(e)s, %(d)s)) AS o(variety, exchange, trade_date)",  # noqa: S608
                {"v": str(variety), "e": exchange, "d": day, **day_parameters(at)},
            )
            assert lasts is not is_over(Order(variety=variety, exchange=exchange, trade_date=day), at), (day, gap)
