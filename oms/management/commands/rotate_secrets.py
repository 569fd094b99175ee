"""`manage.py rotate_secrets`: encrypt every stored secret again with the newest key of OMS_FERNET_KEYS."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import decrypt, encrypt
from cryptography.fernet import InvalidToken
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import models, transaction
from fernet_fields.fields import EncryptedField

#: What allauth keeps encrypted in an authenticator's JSON.
SECRETS = frozenset({"secret", "seed", "migrated_codes"})


class Command(BaseCommand):
    """Run it after a new key was put in front; then the old one may be taken away."""

    help = __doc__

    def handle(self, *_args: Any, **_options: Any) -> None:
        for model in apps.get_models():
            names = [field.attname for field in model._meta.concrete_fields if isinstance(field, EncryptedField)]
            if names:
                count = self._rotate(model, names)
                self.stdout.write(f"{model._meta.label}: {count} rows ({', '.join(names)})")
        self.stdout.write(f"{Authenticator._meta.label}: {self._rotate_second_factors()} rows (secrets in data)")

    @transaction.atomic
    def _rotate_second_factors(self) -> int:
        rows = list(Authenticator.objects.select_for_update().order_by("pk"))
        try:
            for row in rows:
                row.data = {name: _again(value) if name in SECRETS else value for name, value in row.data.items()}
                row.save(update_fields=["data"])
        except InvalidToken:
            raise _key_is_missing(Authenticator) from None
        return len(rows)

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
            raise _key_is_missing(model) from None
        return count


def _again(value: Any) -> Any:
    """A secret of a second factor, or a list of them, under the newest key."""
    if isinstance(value, list):
        return [_again(one) for one in value]
    return encrypt(decrypt(value))


def _key_is_missing(model: type[models.Model]) -> CommandError:
    return CommandError(
        f"{model._meta.label}: a row was encrypted with a key that OMS_FERNET_KEYS does not hold; nothing was"
        " changed in this table. Add the old key at the end of the list."
    )
