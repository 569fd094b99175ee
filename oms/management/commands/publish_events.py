"""The event publisher: one process follows the log, any others wait to take over."""

import signal
import time
from typing import Any

import redis
import structlog
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection

from compliance import publisher
from oms.lib.redis import client

IDLE_SECONDS = 0.05
RETRY_SECONDS = 1.0
logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Publish committed events, in commit order, to the Redis stream until stopped."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            while True:
                try:
                    self._follow()
                except (OperationalError, redis.RedisError) as error:
                    # A server is away: nothing is lost, the log waits where it is.
                    logger.warning("publisher_waits", reason=f"{type(error).__name__}: {error}".strip())
                    connection.close()
                    time.sleep(RETRY_SECONDS)
        except KeyboardInterrupt:
            return

    def _follow(self) -> None:
        while not publisher.try_lock():
            time.sleep(RETRY_SECONDS)
        server = client()
        position = publisher.last_published(server)
        logger.info("publisher_follows", position=position.text)
        while True:
            position, count = publisher.publish_batch(server, position)
            if not count:
                time.sleep(IDLE_SECONDS)
