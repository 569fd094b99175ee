"""The process's one Redis (or Valkey) client, made on first use so that it is never shared across a fork."""

from functools import lru_cache

import redis
from django.conf import settings

#: What a person's request waits for a Redis that hangs, where it can go on without the answer.
BRIEF_SECONDS = 0.25


@lru_cache(maxsize=4)
def _client(url: str, pid: int, timeout: float) -> "redis.Redis":
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=timeout, socket_connect_timeout=timeout, health_check_interval=30
    )


def client(*, timeout: float = 2.0) -> "redis.Redis":
    """The client of this process; text in, text out. Raises `redis.RedisError` when the server is away, or
    silent for `timeout` seconds.
    """
    import os

    return _client(settings.REDIS_URL, os.getpid(), timeout)
