"""Last prices in a real Valkey."""

from datetime import UTC, datetime
from decimal import Decimal

from ledger.prices import LastPrice, get_prices, set_prices

AT = datetime(2026, 11, 20, 6, 0, 0, 250_000, tzinfo=UTC)


def test_prices_come_back_exactly_and_unknown_ones_not_at_all():
    set_prices({1: (Decimal("1545.2000"), AT), 2: (Decimal("0.0025"), AT)})
    assert get_prices([1, 2, 3]) == {1: LastPrice(Decimal("1545.2"), AT), 2: LastPrice(Decimal("0.0025"), AT)}


def test_a_new_price_takes_the_place_of_the_old():
    set_prices({1: (Decimal(1), AT)})
    set_prices({1: (Decimal(2), AT)})
    assert get_prices([1])[1].price == 2


def test_nothing_asked_nothing_done():
    set_prices({})
    assert get_prices([]) == {}


def test_without_redis_there_are_no_prices(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    set_prices({1: (Decimal(1), AT)})
    assert get_prices([1]) == {}
