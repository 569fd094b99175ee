"""`manage.py rotate_secrets`: encrypt every stored secret again with the newest key of OMS_FERNET_KEYS."""

from typing import Any

from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from fernet_fields.fields import EncryptedField


class Command(BaseCommand):
    """Run it after a new key was put in front; then the old one may be taken away."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        for model in apps.get_models():
            names = [field.attname for field in model._meta.concrete_fields if isinstance(field, EncryptedField)]
            if names:
                count = self._rotate(model, names)
                self.stdout.write(f"{model._meta.label}: {count} rows ({', '.join(names)})")

    @transaction.atomic
    def _rotate(self, model: type[models.Model], names: list[str]) -> int:
        rows = model._base_manager.select_for_update().order_by("pk")
        count = 0
        try:
            for row in rows.only("pk", *names):
                # Saving a value encrypts it with the first key, whichever key it was read with.
                model._base_manager.filter(pk=row.pk).update(**{name: getattr(row, name) for name in names})
                count += 1
        except InvalidToken:
            raise CommandError(
                f"{model._meta.label}: a row was encrypted with a key that OMS_FERNET_KEYS does not hold; nothing was"
                " changed in this table. Add the old key at the end of the list."
            ) from None
        return count
