"""Whose turn it is, on a real Valkey, in windows short enough to live through."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace

import pytest
import redis

from oms.lib.redis import client
from orders.brokers import limits
from orders.brokers.base import DefiniteRefusal, Temporary
from orders.brokers.limits import CallKind, Limiter


def account(**figures):
    defaults = {
        "pk": 7,
        "orders_per_second": 10,
        "orders_per_minute": 400,
        "orders_per_day": 5000,
        "other_calls_per_second": 10,
    }
    return SimpleNamespace(**{**defaults, **figures})


def granted(limiter, kind, most):
    """How many calls of a kind are granted at once, of `most` asked for."""
    for count in range(most):
        try:
            limiter.acquire(kind, wait=0)
        except Temporary:
            return count
    return most


def test_a_burst_stops_at_the_limit_of_the_second_and_says_when_to_come_back():
    limiter = Limiter(account())
    assert granted(limiter, CallKind.ORDER, 20) == 10
    with pytest.raises(Temporary) as caught:
        limiter.acquire(CallKind.ORDER, wait=0)
    assert 0 < caught.value.retry_after <= 1.05


def test_no_rolling_second_ever_holds_more_than_the_limit_however_many_workers_push():
    limit = 5
    grants = []
    lock = threading.Lock()

    def worker(_):
        limiter = Limiter(account(orders_per_second=limit))
        for _ in range(3):
            try:
                limiter.acquire(CallKind.ORDER, wait=3)
            except Temporary:
                continue
            with lock:
                grants.append(True)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(worker, range(6)))
    moments = [int(text) for text in client().lrange("limits:7:orders:log", 0, -1)]
    assert len(grants) >= 2 * limit
    assert len(moments) == len(grants)
    for first, sixth in zip(moments, moments[limit:], strict=False):
        assert sixth - first >= 1_000_000


def test_the_minute_counts_as_well():
    limiter = Limiter(account(orders_per_second=0, orders_per_minute=12))
    assert granted(limiter, CallKind.ORDER, 20) == 12


def test_a_full_minute_cannot_be_waited_for():
    limiter = Limiter(account(orders_per_minute=1))
    limiter.acquire(CallKind.ORDER, wait=0)
    with pytest.raises(Temporary) as caught:
        limiter.acquire(CallKind.ORDER, wait=2)
    assert caught.value.retry_after > 30


def test_the_days_orders_end_with_a_refusal_and_a_slice_counts_each_part():
    limiter = Limiter(account(orders_per_day=6))
    limiter.acquire(CallKind.ORDER, wait=0, orders_of_the_day=5)
    with pytest.raises(DefiniteRefusal, match="6 orders of the day"):
        limiter.acquire(CallKind.ORDER, wait=0, orders_of_the_day=2)
    limiter.acquire(CallKind.ORDER, wait=0)
    with pytest.raises(DefiniteRefusal):
        limiter.acquire(CallKind.ORDER, wait=0)
    limiter.acquire(CallKind.CANCEL, wait=0)


def test_a_new_day_in_india_begins_at_zero(time_machine):
    limiter = Limiter(account(orders_per_day=1))
    time_machine.move_to("2026-11-20T18:29:00Z")
    limiter.acquire(CallKind.ORDER, wait=0)
    time_machine.move_to("2026-11-20T18:31:00Z")
    limiter.acquire(CallKind.ORDER, wait=0)


def test_orders_and_other_calls_do_not_take_from_each_other():
    limiter = Limiter(account())
    assert granted(limiter, CallKind.ORDER, 20) == 10
    assert granted(limiter, CallKind.CANCEL, 20) == 8


def test_a_long_row_of_cancels_leaves_reads_their_share():
    figures = account()
    until = time.monotonic() + 2.5

    def cancel(_):
        while time.monotonic() < until:
            with suppress(Temporary):
                Limiter(figures).acquire(CallKind.CANCEL, wait=3)

    with ThreadPoolExecutor(10) as pool:
        cancels = pool.map(cancel, range(10))
        _until(lambda: limits.waiting(figures)[CallKind.CANCEL] > 0)
        for _ in range(4):  # the two of a second, and those of the next
            Limiter(figures).acquire(CallKind.READ, wait=2)
        assert limits.waiting(figures)[CallKind.CANCEL] > 0, "the cancels were still at it"
        list(cancels)


def test_reads_and_cancels_together_stay_within_the_limit():
    limiter = Limiter(account())
    assert granted(limiter, CallKind.CANCEL, 20) + granted(limiter, CallKind.READ, 20) == 10


def test_a_429_stops_the_share_of_reads_too():
    Limiter(account()).back_off(CallKind.READ, 30)
    with pytest.raises(Temporary):
        Limiter(account()).acquire(CallKind.READ, wait=0)


def test_reads_leave_room_for_cancels():
    limiter = Limiter(account())
    assert granted(limiter, CallKind.READ, 20) == 8
    assert granted(limiter, CallKind.CANCEL, 20) == 2


def test_while_a_cancel_waits_nothing_else_of_its_bucket_goes():
    figures = account(other_calls_per_second=1)
    limiter = Limiter(figures)
    limiter.acquire(CallKind.CANCEL, wait=0)
    order = []

    def take(kind):
        Limiter(figures).acquire(kind, wait=5)
        order.append(kind)

    threads = [
        threading.Thread(target=take, args=(kind,)) for kind in (CallKind.READ, CallKind.MODIFY, CallKind.CANCEL)
    ]
    for thread, kind in zip(threads, (CallKind.READ, CallKind.MODIFY, CallKind.CANCEL), strict=True):
        thread.start()
        _until(lambda kind=kind: limiter.waiting()[kind] == 1)
    for thread in threads:
        thread.join(10)
    assert order == [CallKind.CANCEL, CallKind.MODIFY, CallKind.READ]
    assert set(limits.waiting(figures).values()) == {0}


def _until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_gives_up_no_longer_waits():
    figures = account(other_calls_per_second=1)
    limiter = Limiter(figures)
    limiter.acquire(CallKind.CANCEL, wait=0)
    with pytest.raises(Temporary):
        limiter.acquire(CallKind.CANCEL, wait=0.1)
    assert limits.waiting(figures)[CallKind.CANCEL] == 0


def test_permits_tell_how_many_orders_may_go():
    figures = account(orders_per_day=12)
    assert limits.permits(figures) == 10
    limiter = Limiter(figures)
    for _ in range(4):
        limiter.acquire(CallKind.ORDER, wait=0)
    assert limits.permits(figures) == 6
    assert limits.permits(account(orders_per_day=5)) == 1
    limiter.back_off(CallKind.ORDER, 30)
    assert limits.permits(figures) == 0


def test_an_account_without_limits_is_not_limited():
    figures = account(orders_per_second=0, orders_per_minute=0, orders_per_day=0, other_calls_per_second=0)
    limiter = Limiter(figures)
    assert granted(limiter, CallKind.ORDER, 50) == granted(limiter, CallKind.READ, 50) == 50
    assert limits.permits(figures) == limits.UNLIMITED


def test_after_a_429_every_worker_holds_back():
    Limiter(account()).back_off(CallKind.ORDER, 30)
    with pytest.raises(Temporary) as caught:
        Limiter(account()).acquire(CallKind.ORDER, wait=0)
    assert caught.value.retry_after > 20
    Limiter(account()).acquire(CallKind.CANCEL, wait=0)


@pytest.mark.parametrize("seconds", [61, 1e9, float("inf")])
def test_no_broker_holds_us_back_for_longer_than_a_minute(seconds):
    Limiter(account()).back_off(CallKind.ORDER, seconds)
    with pytest.raises(Temporary) as caught:
        Limiter(account()).acquire(CallKind.ORDER, wait=0)
    assert 59 < caught.value.retry_after <= 60


def test_accounts_do_not_share_their_limits():
    assert granted(Limiter(account()), CallKind.ORDER, 20) == 10
    assert granted(Limiter(account(pk=8)), CallKind.ORDER, 20) == 10


def test_without_redis_nothing_is_sent(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(Temporary, match="nothing is sent"):
        Limiter(account()).acquire(CallKind.ORDER, wait=1)
    with pytest.raises(Temporary):
        limits.permits(account())
    with pytest.raises(Temporary):
        limits.waiting(account())
    with pytest.raises(redis.RedisError):
        client().ping()
