"""Limits and kill switches: what may be traded, how much, and whether at all."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from compliance.models.accounts import Account, AlgoRegistration
from oms.lib.triggers import append_only


class Scope(models.TextChoices):
    """What a limit or a kill switch covers."""

    HOUSE = "HOUSE"
    ACCOUNT = "ACCOUNT"
    ALGO = "ALGO"


def _scope_is_consistent(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(scope="HOUSE", account=None, algo=None)
        | Q(scope="ACCOUNT", account__isnull=False, algo=None)
        | Q(scope="ALGO", account=None, algo__isnull=False),
        name=name,
    )


class RiskLimit(models.Model):
    """One version of the limits of one scope. Never edited: a change is a new version.

    Empty means "no limit from this scope"; of several scopes the strictest holds, except that an
    algo registered at the exchange brings its own order rate.
    """

    scope = models.CharField(max_length=8, choices=Scope)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="limits")
    algo = models.ForeignKey(AlgoRegistration, models.PROTECT, null=True, blank=True, related_name="limits")
    version = models.PositiveIntegerField()
    max_order_quantity = models.DecimalField(max_digits=18, decimal_places=0, null=True, blank=True)
    max_order_value = models.DecimalField("max order value (₹)", max_digits=20, decimal_places=2, null=True, blank=True)
    max_open_value = models.DecimalField(
        "max cumulative open value (₹)", max_digits=20, decimal_places=2, null=True, blank=True,
        help_text="Unexecuted and unconfirmed orders together (CIR/MRD/DP/09/2012).",
    )  # fmt: skip
    max_position_quantity = models.DecimalField(max_digits=18, decimal_places=0, null=True, blank=True)
    max_orders_per_second = models.PositiveIntegerField(
        null=True, blank=True, help_text="Per client and exchange segment, by the server's calendar second."
    )
    duplicate_window_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="An equal order within so many seconds is refused; 0 switches the guard off."
    )
    reason = models.CharField(max_length=300)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            _scope_is_consistent("risklimit_scope_consistent"),
            models.UniqueConstraint(
                fields=["scope", "account", "algo", "version"], nulls_distinct=False, name="risklimit_version_once"
            ),
        ]
        triggers = [*append_only()]

    def __str__(self) -> str:
        return f"{self.scope} limits v{self.version}"


class KillSwitch(models.Model):
    """The trading mode of one scope. No row means ACTIVE. Cancels always pass."""

    class Mode(models.TextChoices):
        ACTIVE = "ACTIVE"
        REDUCING = "REDUCING", "Reducing only"
        HALTED = "HALTED"

    scope = models.CharField(max_length=8, choices=Scope)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="kill_switches")
    algo = models.ForeignKey(AlgoRegistration, models.PROTECT, null=True, blank=True, related_name="kill_switches")
    mode = models.CharField(max_length=8, choices=Mode, default=Mode.ACTIVE)
    reason = models.CharField(max_length=300)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "kill switches"
        constraints = [
            _scope_is_consistent("killswitch_scope_consistent"),
            models.UniqueConstraint(
                fields=["scope", "account", "algo"], nulls_distinct=False, name="killswitch_once_per_scope"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.mode}"
