"""Modifications and cancellations on their way."""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from oms.lib.ids import new_id
from orders.models.columns import price_field, quantity_field
from orders.models.orders import Order
from orders.types import OrderType, TimeInForce


class Amendment(models.Model):
    """A modification or cancellation on its way: asked for, sent, then confirmed or refused by the broker.

    An overlay on the order, never a state of it. At most one modify and one cancel are open per order.
    """

    class Kind(models.TextChoices):
        MODIFY = "MODIFY"
        CANCEL = "CANCEL"

    class State(models.TextChoices):
        QUEUED = "QUEUED"
        SENDING = "SENDING"
        SENT = "SENT", "Received by the broker"
        UNKNOWN = "UNKNOWN", "May or may not have arrived"
        CONFIRMED = "CONFIRMED"
        REJECTED = "REJECTED"
        SUPERSEDED = "SUPERSEDED", "Overtaken"

    OPEN_STATES = ("QUEUED", "SENDING", "SENT", "UNKNOWN")

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="amendments")
    account_id = models.BigIntegerField()
    kind = models.CharField(max_length=6, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    type = models.CharField(max_length=10, choices=OrderType, blank=True)
    time_in_force = models.CharField(max_length=3, choices=TimeInForce, blank=True)
    quantity = quantity_field(null=True, blank=True)
    price = price_field()
    stop_price = price_field()
    disclosed_quantity = quantity_field(null=True, blank=True)
    reserve_id = models.UUIDField(null=True, editable=False, help_text="The entry that raised the reservation.")
    extra_units = quantity_field(default=Decimal(0))
    need = models.DecimalField(
        max_digits=20, decimal_places=2, default=Decimal(0), help_text="Rupees that the new terms need in reserve."
    )
    raised = models.DecimalField(
        max_digits=20, decimal_places=2, default=Decimal(0), help_text="Rupees reserved on top for it."
    )
    held = models.DecimalField(
        max_digits=20, decimal_places=2, default=Decimal(0), help_text="Rupees in reserve once it was asked for."
    )
    requested_by = models.CharField(max_length=80)
    reason = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(help_text="Not to be sent before.")
    sent_at = models.DateTimeField(null=True)
    complete_misses = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order", "kind"],
                condition=Q(state__in=("QUEUED", "SENDING", "SENT", "UNKNOWN")),
                name="amendment_one_open",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=("QUEUED", "SENDING", "SENT", "UNKNOWN")),
                name="amendment_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
