"""The project as a Django app: system checks, log signals, process commands."""

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class OmsConfig(AppConfig):
    name = "oms"
    verbose_name = "OMS"

    def ready(self) -> None:
        from oms.monitoring import logs  # noqa: F401  registered by being imported
        from oms.staff import groups

        # The last of the apps whose permissions the groups get; an app without models sends no signal.
        post_migrate.connect(
            groups.ensure_groups, sender=apps.get_app_config("orders"), dispatch_uid="oms.staff.groups"
        )
