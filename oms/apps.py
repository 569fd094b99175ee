"""The project as a Django app: system checks, log signals, process commands."""

from django.apps import AppConfig


class OmsConfig(AppConfig):
    name = "oms"
    verbose_name = "OMS"

    def ready(self) -> None:
        from oms import checks, logs  # noqa: F401  registered by being imported
