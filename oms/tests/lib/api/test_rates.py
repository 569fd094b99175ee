"""The leaky bucket against an exact one: never more than the quota in any window, and honest about when to return."""

import time

import pytest
import redis

from oms.lib.api import rates
from oms.lib.api.rates import take

POLICY = "sample"


@pytest.fixture
def quota(settings):
    def of(count, seconds):
        settings.API_RATE_LIMITS = {**settings.API_RATE_LIMITS, POLICY: (count, seconds)}

    return of


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_a_fresh_bucket_holds_its_quota_and_then_nothing(quota, count):
    quota(count, 3600)
    found = [take(POLICY, "A") for _ in range(count + 3)]
    assert [rate.passed for rate in found] == [True] * count + [False] * 3
    assert [rate.remaining for rate in found[:count]] == list(range(count - 1, -1, -1))
    assert {rate.remaining for rate in found[count:]} == {0}
    assert all(rate.retry_after_seconds == 0 for rate in found[:count])
    for refused in found[count:]:
        assert 0 < refused.retry_after_seconds <= -(-3600 // count)
        assert refused.retry_after_seconds <= refused.reset_seconds <= 3600


def test_it_refills_drop_by_drop(quota):
    quota(2, 2)
    assert [take(POLICY, "A").passed for _ in range(3)] == [True, True, False]
    time.sleep(1.05)
    assert [take(POLICY, "A").passed for _ in range(2)] == [True, False]


def test_who_is_refused_is_not_counted(quota):
    quota(1, 1)
    take(POLICY, "A")
    for _ in range(5):
        assert not take(POLICY, "A").passed
    time.sleep(1.01)
    assert take(POLICY, "A").passed


def test_policies_and_principals_do_not_share(quota, settings):
    quota(1, 60)
    settings.API_RATE_LIMITS = {**settings.API_RATE_LIMITS, "other": (1, 60)}
    for policy, principal in ((POLICY, "A"), (POLICY, "B"), ("other", "A")):
        assert take(policy, principal).passed
        assert not take(policy, principal).passed


def test_a_bucket_that_is_full_again_leaves_no_key(quota):
    quota(1, 1)
    take(POLICY, "A")
    server = rates.client()
    assert server.pttl(f"rate:{POLICY}:A") <= 1001
    time.sleep(1.01)
    assert not server.exists(f"rate:{POLICY}:A")


def test_nothing_is_said_without_a_quota_or_without_redis(quota, monkeypatch):
    quota(0, 60)
    assert take(POLICY, "A") is None
    quota(1, 60)

    def away():
        raise redis.TimeoutError("silent")

    monkeypatch.setattr(rates, "client", away)
    assert take(POLICY, "A") is None
