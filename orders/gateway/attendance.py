"""Who is at work for a broker account, and how news reaches them without a message through the queue.

A worker that has run out of work stays for a moment, and while it is there a hint only rings its bell in Redis:
a tenth of the cost of a task. Nothing depends on it. A bell that nobody hears is found by the sweep, and the
presence of a worker that died ends by itself.
"""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import redis
from django.conf import settings

from oms.lib.redis import BRIEF_SECONDS, client

#: So long after its last sign of life a worker counts as gone.
PRESENT_SECONDS = 1
#: While other tasks wait for a worker, this one leaves its place after so long, though there is still work.
SHARE_SECONDS = 2.0
QUEUE = settings.CELERY_TASK_ROUTES["orders.tasks.*"]["queue"]


class Work(StrEnum):
    """What is done for a broker account by one worker at a time."""

    SENDING = "sending"
    LOOKING = "looking"


@dataclass(frozen=True, slots=True)
class Attendance:
    """One kind of work for one broker account. Without Redis nobody is ever there."""

    work: Work
    broker_account_id: int

    def ring(self, about: str = "") -> bool:
        """Say that there is work; False when nobody is there, so that a worker has to be sent for.

        What it is `about` is noted once, however often it is rung about it, for `noted`.
        Whoever rings before that worker comes is told that somebody is there. Raises redis.RedisError.
        """
        with client(timeout=BRIEF_SECONDS).pipeline(transaction=False) as pipe:
            if about:
                pipe.sadd(self._notes, about)
            pipe.lpush(self._bell, 1)
            pipe.ltrim(self._bell, 0, 0)
            pipe.expire(self._bell, PRESENT_SECONDS)
            pipe.set(self._present, 1, nx=True, ex=PRESENT_SECONDS)
            return not pipe.execute()[-1]

    def stay(self) -> bool:
        """Show that a worker is here; returns whether other tasks wait for a worker."""
        with suppress(redis.RedisError), client().pipeline(transaction=False) as pipe:
            pipe.set(self._present, 1, ex=PRESENT_SECONDS)
            pipe.llen(QUEUE)
            return bool(pipe.execute()[1])
        return False

    def wait(self, seconds: float) -> bool:
        """Wait for the bell, at most so long; returns whether it rang. 0 seconds is not at all."""
        with suppress(redis.RedisError):
            return seconds > 0 and client().brpop([self._bell], timeout=seconds) is not None
        return False

    def noted(self, most: int) -> list[str]:
        """Up to so many of what was rung about, which are nobody else's from now on. Raises redis.RedisError."""
        return [str(note) for note in client().spop(self._notes, most) or ()]

    def forget_notes(self) -> None:
        """All that was rung about is known by other means. Raises redis.RedisError."""
        client().delete(self._notes)

    def has_notes(self) -> bool:
        """Whether it was rung about anything. Raises redis.RedisError."""
        return bool(client().exists(self._notes))

    def leave(self) -> None:
        """Who rings from now on sends for a worker. What came until now is to be looked for once more."""
        with suppress(redis.RedisError):
            client().delete(self._present)

    @property
    def _present(self) -> str:
        return f"oms:present:{self.work}:{self.broker_account_id}"

    @property
    def _notes(self) -> str:
        return f"oms:notes:{self.work}:{self.broker_account_id}"

    @property
    def _bell(self) -> str:
        return f"oms:bell:{self.work}:{self.broker_account_id}"


def attend(at_work: Attendance, go_on: Callable[[], bool], *, linger: float, seconds: float) -> None:
    """Go on until there is nothing to do and no bell for `linger` seconds, or `seconds` are over, or others wait.

    `go_on` does what there is to do just now; False when there is nothing.
    """
    began, shown_at, others_wait = time.monotonic(), -math.inf, False
    while (at := time.monotonic()) - began < seconds:
        if at - shown_at > PRESENT_SECONDS / 4:
            others_wait, shown_at = at_work.stay(), at
        if others_wait and at - began > SHARE_SECONDS:
            break
        if go_on() or (not others_wait and at_work.wait(linger)):
            continue
        at_work.leave()
        if not go_on():  # what came just before we left has sent for nobody
            return
        shown_at = -math.inf  # there is work after all: show that again
    at_work.leave()
