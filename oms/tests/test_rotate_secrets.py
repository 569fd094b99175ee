"""Key rotation: a new key in front, everything encrypted again, the old key taken away."""

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from fernet_fields.fields import EncryptedField

from compliance.models import Account
from orders.models import BrokerAccount

# What the rows of the migrations were encrypted with.
OLD, NEW = settings.FERNET_KEYS[0], "the-new-key"


@pytest.fixture
def keys(settings):  # the fixture of pytest-django, which undoes what it sets
    """Set the keys as a restart with another OMS_FERNET_KEYS would."""

    def use(*names):
        settings.FERNET_KEYS = list(names)
        for model in (Account, BrokerAccount):
            for field in model._meta.concrete_fields:
                if isinstance(field, EncryptedField):
                    for cached in ("keys", "fernet_keys", "fernet"):
                        field.__dict__.pop(cached, None)

    before = settings.FERNET_KEYS
    yield use
    use(*before)


@pytest.fixture
def account(db, keys):
    house = Account.objects.get(code="HOUSE")
    Account.objects.filter(pk=house.pk).update(pan="ABCDE1234F")
    return BrokerAccount.objects.create(
        name="Paper", kind="PAPER", root_url="http://127.0.0.1:1", client_id="PX0001", api_key="k", api_secret="s3cret",
        access_token="t0ken", default_account=house,
    )  # fmt: skip


def test_a_key_is_rotated_and_the_old_one_taken_away(account, keys, capsys):
    keys(NEW, OLD)
    assert BrokerAccount.objects.get(pk=account.pk).api_secret == "s3cret"
    call_command("rotate_secrets")
    keys(NEW)
    rotated = BrokerAccount.objects.get(pk=account.pk)
    assert (rotated.api_secret, rotated.access_token) == ("s3cret", "t0ken")
    assert Account.objects.get(code="HOUSE").pan == "ABCDE1234F"
    said = capsys.readouterr().out
    assert "orders.BrokerAccount: 1 rows" in said
    assert "s3cret" not in said


def test_without_the_old_key_nothing_is_changed_and_the_reason_is_said(account, keys):
    keys(NEW)
    with pytest.raises(CommandError, match="Add the old key"):
        call_command("rotate_secrets")
    keys(OLD)
    assert BrokerAccount.objects.get(pk=account.pk).api_secret == "s3cret"


def test_second_factors_are_encrypted_again_too(keys, db):
    from allauth.mfa.models import Authenticator
    from allauth.mfa.utils import decrypt, encrypt
    from django.contrib.auth.models import User

    user = User.objects.create_user("operator")
    Authenticator.objects.create(user=user, type="totp", data={"secret": encrypt("JBSWY3DP")})
    Authenticator.objects.create(user=user, type="recovery_codes", data={"seed": encrypt("5eed"), "used_mask": 3})
    keys(NEW, OLD)
    call_command("rotate_secrets")
    keys(NEW)
    data = {row.type: row.data for row in Authenticator.objects.all()}
    assert decrypt(data["totp"]["secret"]) == "JBSWY3DP"
    assert (decrypt(data["recovery_codes"]["seed"]), data["recovery_codes"]["used_mask"]) == ("5eed", 3)
