"""Trading accounts, who may act on them, and the algorithms registered for them."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from fernet_fields import EncryptedCharField

from compliance.canonical import GENESIS


class Account(models.Model):
    """A trading client (or the house itself): the unit of access, of limits and of reports.

    Also the head of the chain of control events (limits, kill switches) that concern it.
    """

    class Kind(models.TextChoices):
        CLIENT = "CLIENT"
        PROP = "PROP", "Proprietary"
        HOUSE = "HOUSE"

    code = models.CharField(max_length=36, unique=True, help_text="What the API calls accountId.")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.CLIENT)
    ucc = models.CharField("UCC", max_length=20, blank=True, help_text="Unique client code at the exchange.")
    pan = EncryptedCharField("PAN", max_length=10, blank=True)
    products = models.JSONField(default=list, help_text="Products allowed, e.g. CNC, MIS.")
    is_active = models.BooleanField(default=True)
    event_seq = models.PositiveIntegerField(default=0, editable=False)
    event_hash = models.BinaryField(max_length=32, default=GENESIS, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    members: "models.ManyToManyField[Any, Any]" = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="Membership", related_name="accounts"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=Q(kind="HOUSE"), name="account_one_house"),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def chain(self) -> tuple[None, int]:
        """Where its events go: no order, this account."""
        return None, self.pk


class Membership(models.Model):
    """What one person may do on one account."""

    class Role(models.TextChoices):
        TRADER = "TRADER"
        VIEWER = "VIEWER"

    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role, default=Role.TRADER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.role} #{self.user_id} on #{self.account_id}"


class AlgoRegistration(models.Model):
    """An algorithm that the exchange knows, and how fast it may send."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE"
        SUSPENDED = "SUSPENDED"

    class Category(models.TextChoices):
        WHITE_BOX = "WHITE_BOX"
        BLACK_BOX = "BLACK_BOX"

    account = models.ForeignKey(Account, models.PROTECT, related_name="algos")
    algo_id = models.CharField(max_length=36, help_text="The exchange's id of the algorithm.")
    name = models.CharField(max_length=120)
    version = models.CharField(max_length=20, blank=True)
    category = models.CharField(max_length=10, choices=Category, default=Category.WHITE_BOX)
    vendor = models.CharField(max_length=120, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)

    class Meta:
        verbose_name = "algorithm"
        constraints = [models.UniqueConstraint(fields=["account", "algo_id"], name="algo_once_per_account")]

    def __str__(self) -> str:
        return f"{self.algo_id} {self.version}".strip()
