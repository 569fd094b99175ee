"""Rate limits of the API: one leaky bucket per policy and principal, in Redis, for all processes together.

The generic cell rate algorithm keeps one number per bucket and knows exactly when the next request
will pass. One round trip per request; without Redis requests pass, since trading matters more.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

import redis
import structlog
from django.conf import settings
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from oms.lib.api.client import client_ip
from oms.lib.redis import client

# Times in microseconds of Redis's own clock, so that all callers agree. TAT: theoretical arrival time.
_GCRA = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local quota, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local step = window / quota
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + step
local used = tat - now
if used > window + 0.5 then return {0, 0, math.ceil(used - window), math.ceil(used - step)} end
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil(used / 1000) + 1)
return {1, math.floor((window - used) / step + 0.000001), 0, math.ceil(used)}
"""
SECOND = 1_000_000

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """What one request found in its bucket. Seconds are rounded up."""

    policy: str
    quota: int
    window_seconds: int
    passed: bool
    remaining: int
    retry_after_seconds: int
    reset_seconds: int

    def write_to(self, response: HttpResponseBase) -> None:
        """Set the fields of draft-ietf-httpapi-ratelimit-headers."""
        response["RateLimit-Policy"] = f'"{self.policy}";q={self.quota};w={self.window_seconds}'
        response["RateLimit"] = f'"{self.policy}";r={self.remaining};t={self.reset_seconds}'


def take(policy: str, principal: str) -> Rate | None:
    """Take one token. None when the policy is switched off (quota 0) or Redis is away."""
    quota, window = settings.API_RATE_LIMITS[policy]
    if not quota:
        return None
    try:
        answer: Any = _script()(keys=[f"rate:{policy}:{principal}"], args=[quota, window * SECOND])
    except redis.RedisError as error:
        logger.warning("rate_limit_not_enforced", reason=str(error))
        return None
    passed, remaining, retry_after, reset = (int(x) for x in answer)
    return Rate(
        policy, quota, window, bool(passed), remaining, ceil(retry_after / SECOND), ceil(reset / SECOND)
    )  # fmt: skip


_scripts: dict[int, Any] = {}


def _script() -> Any:
    connection = client()
    key = id(connection)  # a new client after a fork
    if key not in _scripts:
        _scripts[key] = connection.register_script(_GCRA)
    return _scripts[key]


class PrincipalRate(BaseThrottle):
    """One bucket per user, or per address where nobody is logged in. The view names its policy."""

    rate: Rate | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        principal = f"user:{request.user.pk}" if request.user.is_authenticated else f"ip:{client_ip(request)}"
        self.rate = view.rate = take(view.rate_policy, principal)
        return self.rate is None or self.rate.passed

    def wait(self) -> float | None:
        return self.rate.retry_after_seconds if self.rate else None
