"""Who may trade within which limits, and the proof of what happened.

Private to this app: others go through `compliance.selectors`, `compliance.audit` and the services.
Nothing here knows what an order is beyond its id: events carry all that a report needs.
"""

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from fernet_fields import EncryptedCharField

from compliance.canonical import GENESIS
from oms.lib.triggers import append_only


class ProductCode(models.TextChoices):
    """The broker's products: CNC delivery, MIS intraday, NRML carried derivatives, MTF margin funded."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"
    MTF = "MTF"


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


class IdempotencyKey(models.Model):
    """The first answer to a request that must not be carried out twice, stored with what it did."""

    principal = models.CharField(max_length=64, help_text="The user or key that sent the request.")
    key = models.CharField(max_length=128)
    body_hash = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["principal", "key"], name="idempotency_once")]

    def __str__(self) -> str:
        return f"{self.principal} {self.key}"


class Alert(models.Model):
    """Something that a person must look at; one row per `key` however often it is raised."""

    class Severity(models.TextChoices):
        INFO = "INFO"
        WARNING = "WARNING"
        CRITICAL = "CRITICAL"

    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    account = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, related_name="alerts")
    order_id = models.UUIDField(null=True, blank=True)
    summary = models.CharField(max_length=300)
    details = models.JSONField(default=dict)
    count = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    last_raised_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    closing_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["-last_raised_at"], name="alert_latest")]

    def __str__(self) -> str:
        return self.summary


class EventType(models.TextChoices):
    """The taxonomy of facts. Names shared with the regulator's forms; see docs/architecture.md."""

    ORDER_CREATED = "ORDER_CREATED"
    RISK_REJECTED = "RISK_REJECTED"
    ORDER_SENT = "ORDER_SENT"
    SEND_UNCONFIRMED = "SEND_UNCONFIRMED"
    ORDER_PLACED = "ORDER_PLACED"
    ORDER_REJECTED = "ORDER_REJECTED"
    ORDER_TRIGGER_PENDING = "ORDER_TRIGGER_PENDING"
    ORDER_TRIGGERED = "ORDER_TRIGGERED"
    ORDER_OPENED = "ORDER_OPENED"
    ORDER_PARTIALLY_FILLED = "ORDER_PARTIALLY_FILLED"
    ORDER_FILLED = "ORDER_FILLED"
    EXECUTION_REVERSED = "EXECUTION_REVERSED"
    ORDER_CANCELLED = "ORDER_CANCELLED"
    ORDER_EXPIRED = "ORDER_EXPIRED"
    ORDER_LOST = "ORDER_LOST"
    ORDER_ADOPTED = "ORDER_ADOPTED"
    ORDER_RECONCILED = "ORDER_RECONCILED"
    MODIFY_REQUESTED = "MODIFY_REQUESTED"
    MODIFY_SENT = "MODIFY_SENT"
    ORDER_MODIFIED = "ORDER_MODIFIED"
    MODIFY_REJECTED = "MODIFY_REJECTED"
    CANCEL_REQUESTED = "CANCEL_REQUESTED"
    CANCEL_SENT = "CANCEL_SENT"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    CAPITAL_RESERVED = "CAPITAL_RESERVED"
    CAPITAL_ALLOCATED = "CAPITAL_ALLOCATED"
    CAPITAL_RELEASED = "CAPITAL_RELEASED"
    CAPITAL_FAILED = "CAPITAL_FAILED"
    CAPITAL_DEPOSITED = "CAPITAL_DEPOSITED"
    CAPITAL_ADJUSTED = "CAPITAL_ADJUSTED"
    KILL_SWITCH_ON = "KILL_SWITCH_ON"
    KILL_SWITCH_OFF = "KILL_SWITCH_OFF"
    LIMIT_CHANGED = "LIMIT_CHANGED"
    ACCOUNT_OPENED = "ACCOUNT_OPENED"
    ACCOUNT_CHANGED = "ACCOUNT_CHANGED"
    MEMBERSHIP_GRANTED = "MEMBERSHIP_GRANTED"
    MEMBERSHIP_REVOKED = "MEMBERSHIP_REVOKED"
    PORTFOLIO_OPENED = "PORTFOLIO_OPENED"
    ALGO_REGISTERED = "ALGO_REGISTERED"
    ALGO_CHANGED = "ALGO_CHANGED"
    BROKER_SESSION_OPENED = "BROKER_SESSION_OPENED"
    BROKER_SESSION_CLOSED = "BROKER_SESSION_CLOSED"
    BROKER_ACCOUNT_ADDED = "BROKER_ACCOUNT_ADDED"
    BROKER_ACCOUNT_CHANGED = "BROKER_ACCOUNT_CHANGED"
    ROUTING_CHANGED = "ROUTING_CHANGED"
    CORRECTION = "CORRECTION"


class OrderEvent(models.Model):
    """One fact, recorded for ever. Written only by `compliance.audit.record`.

    The table is partitioned by month of `trade_date`; its real key is (trade_date, id), which the
    admin cannot show, so the model's state declares `id` alone (see docs/adr). The chain is
    `hash = SHA256(0x00 ‖ prev_hash ‖ c14n)`, per order, or per account where `order_id` is empty.
    """

    id = models.BigIntegerField(primary_key=True)
    trade_date = models.DateField()
    order_id = models.UUIDField(null=True)
    account_id = models.BigIntegerField()
    seq = models.PositiveIntegerField()
    event_type = models.CharField(max_length=32, choices=EventType)
    actor_type = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    session_id = models.CharField(max_length=64)
    api_key_id = models.CharField(max_length=64)
    source_ip = models.CharField(max_length=45)
    channel = models.CharField(max_length=16)
    recorded_at = models.DateTimeField()
    broker_time = models.CharField(max_length=40)
    c14n = models.BinaryField()
    prev_hash = models.BinaryField(max_length=32)
    hash = models.BinaryField(max_length=32)
    xid = models.BigIntegerField()

    class Meta:
        managed = False
        verbose_name = "event"
        db_table = "compliance_orderevent"

    def __str__(self) -> str:
        return f"{self.event_type} #{self.seq}"

    @property
    def document(self) -> dict[str, Any]:
        """What was recorded, parsed from the very bytes that the hash covers."""
        parsed: dict[str, Any] = json.loads(bytes(self.c14n))
        return parsed

    @property
    def data(self) -> dict[str, Any]:
        """The part of the document that belongs to this type of event."""
        inner: dict[str, Any] = self.document.get("data", {})
        return inner
