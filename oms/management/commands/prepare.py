"""`manage.py prepare`: what has to be done to the database before the processes start; `up` runs it first.

One command and not two, because starting Django takes longer than finding that nothing is to be done.
"""

from typing import Any

import redis
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connection

from oms.lib.redis import client


class Command(BaseCommand):
    help = "Bring the database up to date; with --demo, load the demo's data where it is missing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="load the demo's data too")

    def handle(self, *_arguments: str, **options: Any) -> None:
        try:
            connection.ensure_connection()
            client().ping()
        except OperationalError as error:
            raise CommandError(f"DATABASE_URL: no database answers there: {str(error).splitlines()[0]}") from None
        except redis.RedisError as error:
            raise CommandError(f"REDIS_URL: no Redis or Valkey answers there: {error}") from None
        call_command("migrate", verbosity=0)
        if options["demo"]:
            call_command("demo")
