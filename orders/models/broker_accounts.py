"""Logins at brokers, and which accounts go through which."""

from django.db import models
from fernet_fields import EncryptedCharField

from orders.broker_rules import kind_choices


class BrokerAccount(models.Model):
    """One login at one broker: where orders go, how fast, and whether the door is open.

    Rates begin as those of its kind (`orders.broker_rules`), which are the broker's own.
    """

    class SessionState(models.TextChoices):
        CLOSED = "CLOSED", "Never logged in"
        OPEN = "OPEN"
        EXPIRED = "EXPIRED", "Expired: log in again"

    class Hours(models.TextChoices):
        EXCHANGE = "EXCHANGE", "The exchange's sessions"
        ALWAYS = "ALWAYS", "Always open (no real money)"

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=20, choices=kind_choices)
    trading_hours = models.CharField(max_length=8, choices=Hours, default=Hours.EXCHANGE)
    root_url = models.URLField(help_text="Where the broker's REST interface lives.")
    route_prefix = models.CharField(max_length=40, blank=True, help_text="What the routes begin with, if anything.")
    login_page_url = models.URLField(blank=True, help_text="Empty: the broker's usual one.")
    client_id = models.CharField(max_length=20)
    api_key = models.CharField(max_length=64)
    api_secret = EncryptedCharField(max_length=128)
    access_token = EncryptedCharField(max_length=128, blank=True, editable=False)
    egress_address = models.GenericIPAddressField(
        null=True, blank=True, help_text="The registered static IP that calls must leave from."
    )
    session_state = models.CharField(max_length=7, choices=SessionState, default=SessionState.CLOSED, editable=False)
    session_opened_at = models.DateTimeField(null=True, editable=False)
    session_expires_at = models.DateTimeField(null=True, editable=False)
    session_message = models.CharField(max_length=300, blank=True, editable=False)
    orders_per_second = models.PositiveIntegerField(default=10)
    orders_per_minute = models.PositiveIntegerField(default=400)
    orders_per_day = models.PositiveIntegerField(default=5000)
    modifications_per_order = models.PositiveIntegerField(default=25)
    other_calls_per_second = models.PositiveIntegerField(default=10)
    polled_at = models.DateTimeField(null=True, editable=False, help_text="When the last complete poll began.")
    instruments_at = models.DateTimeField(
        null=True, editable=False, help_text="When the instruments of its kind were last read."
    )
    poll_message = models.CharField(max_length=300, blank=True, editable=False)
    default_account = models.ForeignKey(
        "compliance.Account", models.PROTECT, related_name="+", help_text="Who orders found at the broker belong to."
    )

    def __str__(self) -> str:
        return self.name


class Routing(models.Model):
    """Which broker account an account's orders are sent through."""

    account = models.OneToOneField("compliance.Account", models.CASCADE, related_name="routing")
    broker_account = models.ForeignKey(BrokerAccount, models.PROTECT, related_name="routings")

    def __str__(self) -> str:
        return f"#{self.account_id} → #{self.broker_account_id}"
