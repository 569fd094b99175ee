"""Last prices in a real Valkey."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ledger.market.prices import LastPrice, get_prices, most_wanted, set_prices
from oms.lib.clock import now

AT = datetime(2026, 11, 20, 6, 0, 0, 250_000, tzinfo=UTC)


def test_prices_come_back_exactly_and_unknown_ones_not_at_all():
    set_prices({1: (Decimal("1545.2000"), AT), 2: (Decimal("0.0025"), AT)})
    assert get_prices([1, 2, 3], at=AT) == {1: LastPrice(Decimal("1545.2"), AT), 2: LastPrice(Decimal("0.0025"), AT)}


def test_a_new_price_takes_the_place_of_the_old():
    set_prices({1: (Decimal(1), AT)})
    set_prices({1: (Decimal(2), AT)})
    assert get_prices([1], at=AT)[1].price == 2


def test_nothing_asked_nothing_done():
    set_prices({})
    assert get_prices([], at=AT) == {}


def test_without_redis_there_are_no_prices(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    set_prices({1: (Decimal(1), AT)})
    assert get_prices([1], at=AT) == {}
    assert most_wanted(10) == []


def test_what_has_no_fresh_price_is_wanted_the_latest_first(settings):
    at = now()
    old = at - timedelta(seconds=settings.PRICE_FRESH_SECONDS + 1)
    set_prices({1: (Decimal(1), at), 2: (Decimal(1), old)})
    get_prices([1, 2], at=at)
    assert most_wanted(10) == [2]
    get_prices([3], at=at + timedelta(seconds=1))
    assert most_wanted(10) == [3, 2]
    assert most_wanted(1) == [3]
    assert most_wanted(10) == [3], "older wishes are forgotten"
