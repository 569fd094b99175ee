"""Logins at brokers, and which accounts go through which."""

from django.db import models
from fernet_fields import EncryptedCharField


class BrokerAccount(models.Model):
    """One login at one broker: where orders go, how fast, and whether the door is open.

    Rates are the broker's own (Kite: 10 orders/s, 400/min, 5000/day, 25 modifications, 10 other calls/s).
    """

    class Kind(models.TextChoices):
        KITE = "KITE", "Zerodha Kite"
        PAPER = "PAPER", "Paper exchange"

    class SessionState(models.TextChoices):
        CLOSED = "CLOSED", "Never logged in"
        OPEN = "OPEN"
        EXPIRED = "EXPIRED", "Expired: log in again"

    class Hours(models.TextChoices):
        EXCHANGE = "EXCHANGE", "The exchange's sessions"
        ALWAYS = "ALWAYS", "Always open (paper trading)"

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=5, choices=Kind)
    trading_hours = models.CharField(max_length=8, choices=Hours, default=Hours.EXCHANGE)
    root_url = models.URLField(help_text="Where the broker's REST interface lives.")
    route_prefix = models.CharField(max_length=40, blank=True, help_text="E.g. /oms for Kite's sandbox.")
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
