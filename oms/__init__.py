"""The project: settings, URLs, Celery, process commands; business rules live in the apps."""

from oms.celery import app as celery_app

__all__ = ["celery_app"]
