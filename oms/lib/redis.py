"""The process's one Redis (or Valkey) client, made on first use so that it is never shared across a fork."""

from functools import lru_cache

import redis
from django.conf import settings


@lru_cache(maxsize=1)
def _client(url: str, pid: int) -> "redis.Redis":
    return redis.Redis.from_url(url, decode_responses=True, socket_timeout=2, health_check_interval=30)


def client() -> "redis.Redis":
    """The client of this process; text in, text out. Raises `redis.RedisError` when the server is away."""
    import os

    return _client(settings.REDIS_URL, os.getpid())
