"""Kite's rate limits at the exchange: by calendar second, minute and day, per client or per key."""

from datetime import UTC, datetime

import pytest
import time_machine

from orders.brokers.paper.errors import NetworkError
from orders.brokers.paper.limits import DAY_FULL, TOO_MANY, Limits

DAY = "2026-11-23"
START = datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC)


def passed(limits: Limits, times: int, user_id: str = "A") -> int:
    """How many of so many orders are let through."""
    count = 0
    for _ in range(times):
        try:
            limits.count_order(user_id, DAY)
            count += 1
        except NetworkError as refusal:
            if (refusal.code, refusal.message) not in {(429, TOO_MANY), (429, DAY_FULL)}:
                raise
    return count


def test_ten_orders_a_second_and_ten_again_in_the_next() -> None:
    limits = Limits()
    with time_machine.travel(START, tick=False) as clock:
        assert passed(limits, 15) == 10
        clock.shift(0.999)
        assert passed(limits, 1) == 0, "the second is the calendar's"
        clock.shift(0.001)
        assert passed(limits, 15) == 10


def test_what_is_refused_is_not_counted_in_the_minute() -> None:
    limits = Limits(orders_per_second=3, orders_per_minute=5)
    with time_machine.travel(START, tick=False) as clock:
        assert passed(limits, 10) == 3
        clock.shift(1)
        assert passed(limits, 10) == 2
        clock.shift(58)
        assert passed(limits, 1) == 0
        clock.shift(1)
        assert passed(limits, 10) == 3


def test_clients_and_keys_have_their_own_counts() -> None:
    limits = Limits(others_per_second=2, quotes_per_second=1)
    with time_machine.travel(START, tick=False):
        assert passed(limits, 15, "A") == passed(limits, 15, "B") == 10
        limits.count_quote("key")
        with pytest.raises(NetworkError):
            limits.count_quote("key")
        limits.count_quote("other")
        limits.count_other("key")
        limits.count_other("key")
        with pytest.raises(NetworkError):
            limits.count_other("key")


def test_quotes_without_a_limit_of_their_own_count_with_the_others() -> None:
    limits = Limits(others_per_second=1)
    with time_machine.travel(START, tick=False):
        limits.count_quote("key")
        with pytest.raises(NetworkError):
            limits.count_other("key")


def test_a_day_that_is_full_stays_full_until_the_next() -> None:
    limits = Limits(orders_per_second=0, orders_per_minute=0, orders_per_day=3)
    assert passed(limits, 5) == 3
    with pytest.raises(NetworkError, match=DAY_FULL):
        limits.count_order("A", DAY)
    limits.count_order("A", "2026-11-24")


def test_nothing_is_counted_when_they_are_switched_off() -> None:
    limits = Limits(enabled=False, orders_per_second=1, others_per_second=1, orders_per_day=1)
    assert passed(limits, 5) == 5
    for _ in range(3):
        limits.count_other("key")


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"orders_per_hour": 1}, "orders_per_hour is not a limit"),
        ({"_seen": 1}, "_seen is not a limit"),
        ({"orders_per_second": -1}, "orders_per_second must be"),
        ({"orders_per_second": "10"}, "orders_per_second must be"),
        ({"orders_per_second": 5, "orders_per_day": 0.5}, "orders_per_day must be"),
    ],
)
def test_a_figure_that_does_not_fit_is_named_and_none_is_changed(figures: dict[str, object], words: str) -> None:
    limits = Limits()
    with pytest.raises(ValueError, match=words):
        limits.set(figures)
    assert limits == Limits()


def test_figures_are_set_and_shown() -> None:
    limits = Limits()
    limits.set({"orders_per_second": 2, "enabled": False})
    assert limits.figures() == Limits().figures() | {"orders_per_second": 2, "enabled": False}


def test_a_fresh_start_forgets_what_was_counted() -> None:
    limits = Limits(orders_per_day=1, orders_per_second=0, orders_per_minute=0)
    assert passed(limits, 2) == 1
    limits.clear()
    assert passed(limits, 2) == 1
