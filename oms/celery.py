"""The Celery application: how hints travel to the workers, and how a worker shows that it is alive.

Every worker keeps the key `oms:heartbeat:worker:<hostname>` in Redis, holding the names of its queues
joined by commas, for HEARTBEAT_TTL seconds after its last beat; `/health/ready` reads these keys. It
is written by the worker's own event loop, so a worker that hangs falls silent. Database connections
are checked and reused between tasks by Celery's Django support (CONN_HEALTH_CHECKS). Tasks live in the
apps, their routes and schedule in the settings.
"""

import os
import signal
from contextlib import suppress
from typing import Any

import redis
import structlog
from celery import Celery, bootsteps
from celery.signals import beat_init, setup_logging, worker_init, worker_process_init
from django_structlog.celery.steps import DjangoStructLogInitStep

from oms.lib.redis import client
from oms.up.processes import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oms.settings")

HEARTBEAT_KEY = "oms:heartbeat:worker:{hostname}"
HEARTBEAT_SECONDS = 5.0
HEARTBEAT_TTL = 16

logger = structlog.get_logger(__name__)


class Heartbeat(bootsteps.StartStopStep):
    """Writes the worker's key as long as its event loop turns, and removes it when the worker stops."""

    requires = {"celery.worker.components:Timer"}

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._key = HEARTBEAT_KEY.format(hostname=worker.hostname)
        self._queues = ",".join(sorted(worker.app.amqp.queues.consume_from))
        self._entry: Any = None

    def start(self, worker: Any) -> None:
        self._beat()
        self._entry = worker.timer.call_repeatedly(HEARTBEAT_SECONDS, self._beat, priority=10)

    def stop(self, _worker: Any) -> None:
        self._entry.cancel()
        with suppress(redis.RedisError):  # it expires by itself
            client().delete(self._key)

    def _beat(self) -> None:
        try:
            client().set(self._key, self._queues, ex=HEARTBEAT_TTL)
        except redis.RedisError as error:
            logger.warning("heartbeat_not_written", reason=str(error))


@setup_logging.connect
def use_our_logging(**_signal: Any) -> None:
    """Keeps Celery from configuring logging: the settings did."""


@worker_init.connect
@beat_init.connect
def check_settings(**_signal: Any) -> None:
    from oms.checks import refuse_impossible  # the settings are read by now

    refuse_impossible()


@worker_process_init.connect
def follow_the_master(**_signal: Any) -> None:
    # A pool process whose master was killed would finish its task beside the one that takes it over.
    die_with_parent(signal.SIGKILL)


app = Celery("oms")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker_steps: set[Any] = app.steps["worker"]
worker_steps |= {DjangoStructLogInitStep, Heartbeat}
