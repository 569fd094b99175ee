"""The broker's rate limits, kept by all workers together in Redis.

Belongs here: whose turn it is. Each bucket is a log of the latest grants, so that no rolling window
(hence no calendar second of anybody's clock) ever holds more than the limit; a token bucket would let
twice the limit through at the seam of two seconds. What waits is counted and can be seen. When Redis
is away nothing is sent, since nobody could count it. Modifications per order are counted in the database.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol
from uuid import uuid4

import redis
import structlog

from oms.lib.clock import ist_date, now
from oms.lib.redis import client
from orders.brokers.base import DefiniteRefusal, Temporary

logger = structlog.get_logger(__name__)


class CallKind(StrEnum):
    """What a call is, for its bucket and its turn. Orders have the broker's order limits, quotes their own."""

    ORDER = "ORDER"
    CANCEL = "CANCEL"
    MODIFY = "MODIFY"
    READ = "READ"
    QUOTE = "QUOTE"


class RatedAccount(Protocol):
    """The figures of a broker account (`orders.models.BrokerAccount`) that count here; 0 is no limit."""

    @property
    def pk(self) -> Any: ...
    @property
    def orders_per_second(self) -> int: ...
    @property
    def orders_per_minute(self) -> int: ...
    @property
    def orders_per_day(self) -> int: ...
    @property
    def other_calls_per_second(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Window:
    """At most `calls` in any `seconds`."""

    calls: int
    seconds: float


#: Calls leave here evenly spaced from each other and arrive a little bunched: the slack of a window.
SLACK_SECONDS = 0.05
BUCKETS = {CallKind.ORDER: "orders", CallKind.QUOTE: "quotes"}
OTHER = "other"
#: Within the bucket of other calls the lower goes first, and while it waits the higher stand back,
#: but for the reads that have a share of their own.
PRIORITY = {CallKind.CANCEL: 0, CallKind.MODIFY: 1, CallKind.READ: 2}
#: Reads leave so much of their bucket free that a cancel need not even wait, ...
RESERVED_SHARE_FOR_WRITES = 5
#: ... and have so much for themselves: blind, nobody would see what a long row of cancels achieves.
RESERVED_SHARE_FOR_READS = 5
READS = "reads"
POLL_SECONDS = 0.25
#: A broker that asks for more is asked again after this: its clock may be wrong, and until then nothing would go.
LONGEST_BACK_OFF_SECONDS = 60.0
#: What `permits` says of an account without limits.
UNLIMITED = 1_000_000

# KEYS: log, blocked, day, waiting of this kind, then of the kinds that go first.
# ARGV: who waits, until when (µs), orders of the day, limit of the day, then calls and µs of each window.
# Returns {0, 0} when granted, {1, µs to wait} when not, {2, 0} when the day is used up.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local day_limit = tonumber(ARGV[4])
if day_limit > 0 and tonumber(redis.call('GET', KEYS[3]) or '0') + ARGV[3] > day_limit then return {2, 0} end
local wait, most = math.max(redis.call('PTTL', KEYS[2]), 0) * 1000, 0
for i = 5, #KEYS do
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now)
    if redis.call('ZCARD', KEYS[i]) > 0 then wait = math.max(wait, 50000) end
end
for i = 5, #ARGV, 2 do
    local calls, span = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    local bound = redis.call('LINDEX', KEYS[1], -calls)
    if bound then wait = math.max(wait, bound + span - now) end
    most = math.max(most, calls)
end
if wait > 0 then
    if tonumber(ARGV[2]) > now then
        redis.call('ZADD', KEYS[4], ARGV[2], ARGV[1])
        redis.call('PEXPIREAT', KEYS[4], math.ceil(ARGV[2] / 1000) + 1000)
    end
    return {1, wait}
end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('RPUSH', KEYS[1], now)
redis.call('LTRIM', KEYS[1], -math.max(most, 1), -1)
redis.call('PEXPIRE', KEYS[1], 120000)
if day_limit > 0 then
    redis.call('INCRBY', KEYS[3], ARGV[3])
    redis.call('EXPIRE', KEYS[3], 172800)
end
return {0, 0}
"""


class Limiter:
    """The turn-taking of one broker account."""

    def __init__(self, account: RatedAccount, *, quotes_per_second: int = 1) -> None:
        self._key = f"limits:{account.pk}"
        self._quotes = (Window(quotes_per_second, 1),)
        self._day_limit = account.orders_per_day
        windows = (Window(account.orders_per_second, 1), Window(account.orders_per_minute, 60))
        self._order_windows = tuple(window for window in windows if window.calls)
        self._others = account.other_calls_per_second
        # Of one call a second nothing can be set aside.
        self._own_reads = max(self._others // RESERVED_SHARE_FOR_READS, 1) if self._others > 1 else 0

    def acquire(self, kind: CallKind, *, wait: float, orders_of_the_day: int = 1) -> None:
        """Take a turn, waiting for it up to `wait` seconds; the waiting are seen by `waiting`.

        Raises Temporary with `retry_after` when the turn does not come in time or Redis is away, and
        DefiniteRefusal when the day's orders are used up. `orders_of_the_day` is the count of a slice
        or iceberg towards the day, which is 1 towards the second.
        """
        me, until = uuid4().hex, time.time() + wait
        while True:
            verdict, pause = self._turn(kind, me, until, orders_of_the_day)
            if not verdict:
                return
            if verdict > 1:
                raise DefiniteRefusal(
                    f"The broker's {self._day_limit} orders of the day are used up", code="DailyOrderLimit"
                )
            if pause > until - time.time():
                self._give_up(kind, me)
                raise Temporary(
                    f"The broker's rate limit leaves no room for {kind} now", retry_after=pause, code="RateLimit"
                )
            # Short enough to notice when a call that goes first has gone.
            time.sleep(min(pause, POLL_SECONDS))

    def back_off(self, kind: CallKind, seconds: float | None) -> None:
        """Keep every worker from calls of this kind's bucket: the broker counts more than we do.

        For a second where it does not say, never for longer than LONGEST_BACK_OFF_SECONDS.
        """
        asked = seconds or 1
        if asked > LONGEST_BACK_OFF_SECONDS:
            logger.warning("back_off_shortened", limits=self._key, kind=kind, asked_seconds=asked)
        pause = min(asked, LONGEST_BACK_OFF_SECONDS)
        try:
            client().set(f"{self._key}:{_bucket(kind)}:blocked", 1, px=max(int(pause * 1000), 1))
        except redis.RedisError:
            return  # then nothing is sent anyway

    def permits(self) -> int:
        """How many orders may go at this moment. Raises Temporary when Redis is away."""
        try:
            with client().pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.lrange(f"{self._key}:orders:log", 0, -1)
                pipe.pttl(f"{self._key}:orders:blocked")
                pipe.get(self._day_key())
                (seconds, micros), log, blocked, sent = pipe.execute()
        except redis.RedisError as error:
            raise _away(error) from None
        if blocked > 0:
            return 0
        at = seconds + micros / 1_000_000
        room = [w.calls - sum(int(t) / 1_000_000 > at - _span(w) for t in log) for w in self._order_windows]
        if self._day_limit:
            room.append(self._day_limit - int(sent or 0))
        return max(min(room, default=UNLIMITED), 0)

    def waiting(self) -> dict[CallKind, int]:
        """How many calls of each kind wait for their turn at this moment. Raises Temporary when Redis is away."""
        try:
            with client().pipeline(transaction=False) as pipe:
                for kind in CallKind:
                    pipe.zcount(self._waiting_key(kind), time.time() * 1_000_000, "+inf")
                return dict(zip(CallKind, pipe.execute(), strict=True))
        except redis.RedisError as error:
            raise _away(error) from None

    def _turn(self, kind: CallKind, me: str, until: float, orders_of_the_day: int) -> tuple[int, float]:
        if kind is CallKind.READ and self._own_reads:
            verdict, pause = self._try(kind, me, until, 0, log=READS, windows=(Window(self._own_reads, 1),), first=())
            if not verdict:
                return verdict, pause
        first = [k for k in PRIORITY if kind in PRIORITY and PRIORITY[k] < PRIORITY[kind]]
        log, windows = _bucket(kind), self._windows(kind)
        return self._try(kind, me, until, orders_of_the_day, log=log, windows=windows, first=first)

    def _try(
        self, kind: CallKind, me: str, until: float, orders_of_the_day: int, *, log: str, windows: Iterable[Window],
        first: Iterable[CallKind],
    ) -> tuple[int, float]:  # fmt: skip
        keys = [
            f"{self._key}:{log}:log", f"{self._key}:{_bucket(kind)}:blocked", self._day_key(), self._waiting_key(kind),
            *(self._waiting_key(k) for k in first),
        ]  # fmt: skip
        figures = [x for w in windows for x in (w.calls, int(_span(w) * 1_000_000))]
        limit = self._day_limit if kind is CallKind.ORDER else 0
        try:
            answer = _script(client())(keys=keys, args=[me, int(until * 1_000_000), orders_of_the_day, limit, *figures])
        except redis.RedisError as error:
            raise _away(error) from None
        verdict, pause = answer
        return int(verdict), int(pause) / 1_000_000

    def _windows(self, kind: CallKind) -> tuple[Window, ...]:
        if kind is CallKind.ORDER:
            return self._order_windows
        if kind is CallKind.QUOTE:
            return self._quotes
        if not self._others:
            return ()
        reserved = self._others // RESERVED_SHARE_FOR_WRITES if kind is CallKind.READ else 0
        return (Window(max(self._others - self._own_reads - reserved, 1), 1),)

    def _give_up(self, kind: CallKind, me: str) -> None:
        try:
            client().zrem(self._waiting_key(kind), me)
        except redis.RedisError:
            return  # it expires by itself

    def _waiting_key(self, kind: CallKind) -> str:
        return f"{self._key}:waiting:{kind}"

    def _day_key(self) -> str:
        return f"{self._key}:day:{ist_date(now()).isoformat()}"


def permits(account: RatedAccount) -> int:
    """See `Limiter.permits`."""
    return Limiter(account).permits()


def waiting(account: RatedAccount) -> dict[CallKind, int]:
    """See `Limiter.waiting`."""
    return Limiter(account).waiting()


def _bucket(kind: CallKind) -> str:
    return BUCKETS.get(kind, OTHER)


def _span(window: Window) -> float:
    return window.seconds + SLACK_SECONDS


@lru_cache(maxsize=2)
def _script(server: "redis.Redis") -> Any:
    return server.register_script(_SCRIPT)


def _away(error: redis.RedisError) -> Temporary:
    return Temporary(
        f"The rate limiter's Redis is away ({type(error).__name__}), so nothing is sent", code="LimiterAway"
    )
