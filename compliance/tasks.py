"""Celery's doors to compliance."""

from celery import shared_task

from compliance.services import partitions
from oms.lib.clock import now


@shared_task
def ensure_partitions() -> list[str]:
    """Daily: the event log's months, three ahead."""
    return partitions.ensure_partitions(at=now())
