"""Loads the demo data; `manage.py up` runs it on every start, since it only adds what is missing."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from oms import demo


class Command(BaseCommand):
    help = "Make the demo's people, accounts, capital and paper exchange login where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo is only for OMS_DEMO=1: its passwords and keys are public.")
        demo.load()
        self.stdout.write("Demo data is there.")
