"""Holding orders back while a broker answers nothing sensible, for all workers together.

Orders sent into an outage would each end as unknown with its capital held; here they wait as orders that
were never sent. Cancels and reads go on: the reads notice when the broker is back. (pybreaker would hold
its lock for the length of a call, and so send one order at a time.)
"""

from dataclasses import dataclass

import redis

from oms.lib.redis import client
from orders.brokers.limits import CallKind, Limiter

FAILURES_IN_A_ROW = 5
#: Failures further apart than this have nothing to do with each other.
WINDOW_SECONDS = 30
HOLD_SECONDS = 5.0


@dataclass
class Outage:
    """What one process knows of the failures in a row of one broker account; the count is everybody's."""

    limiter: Limiter
    key: str
    _has_failed: bool = False

    def failed(self) -> None:
        """A call was not answered, or with something that only a broken server says."""
        self._has_failed = True
        try:
            with client().pipeline() as pipe:
                pipe.incr(self.key)
                pipe.expire(self.key, WINDOW_SECONDS)
                in_a_row = pipe.execute()[0]
        except redis.RedisError:
            return  # without Redis no order is sent anyway
        if in_a_row >= FAILURES_IN_A_ROW:
            self.limiter.back_off(CallKind.ORDER, HOLD_SECONDS)

    def worked(self) -> None:
        """A call was answered."""
        if not self._has_failed:
            return
        self._has_failed = False
        try:
            client().delete(self.key)
        except redis.RedisError:
            return
