"""The append-only log of facts. Nothing here knows what an order is beyond its id: events carry all a report needs."""

import json
from typing import Any

from django.db import models


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
