"""Modifications and cancellations on their way.

Only `orders.lifecycle` fires a transition; the database refuses an undeclared one, any change of a closed
amendment, and any change of what was asked for (the triggers below).
"""

from decimal import Decimal

import pgtrigger
from django.db import models
from django.db.models import Q

from oms.lib.ids import new_id
from oms.lib.money import ZERO
from oms.lib.triggers import undeletable
from orders.models.columns import price_field, quantity_field
from orders.models.orders import Order
from orders.states import AMENDMENT_TABLE, CLOSED_AMENDMENTS, OPEN_AMENDMENTS
from orders.transitions import AmendmentTransitions
from orders.types import OrderType, Terms, TimeInForce

_OPEN = tuple(sorted(OPEN_AMENDMENTS))
_CLOSED = ", ".join(f"'{state}'" for state in sorted(CLOSED_AMENDMENTS))


class Amendment(AmendmentTransitions):
    """A modification or cancellation on its way: asked for, sent, then confirmed or refused by the broker.

    An overlay on the order, never a state of it. At most one modify and one cancel are open per order.
    """

    class Kind(models.TextChoices):
        MODIFY = "MODIFY"
        CANCEL = "CANCEL"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="amendments")
    account_id = models.BigIntegerField()
    kind = models.CharField(max_length=6, choices=Kind)
    type = models.CharField(max_length=10, choices=OrderType, blank=True)
    time_in_force = models.CharField(max_length=3, choices=TimeInForce, blank=True)
    quantity = quantity_field(null=True, blank=True)
    price = price_field()
    stop_price = price_field()
    disclosed_quantity = quantity_field(null=True, blank=True)
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
    steps = models.PositiveIntegerField(default=0, help_text="Transitions that it has made.")
    due_at = models.DateTimeField(help_text="Not to be sent before.")
    sent_at = models.DateTimeField(null=True)
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order", "kind"],
                condition=Q(state__in=_OPEN),
                name="amendment_one_open",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(state__in=_OPEN),
                name="amendment_open",
            )
        ]
        triggers = [
            pgtrigger.FSM(
                name="declared_transitions",
                field="state",
                transitions=sorted({(str(source), str(target)) for (source, _), target in AMENDMENT_TABLE.items()}),
            ),
            # What moves it counts the step (`orders.lifecycle`): nothing moves it in passing.
            pgtrigger.Trigger(
                name="every_step_counted",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.state IS DISTINCT FROM NEW.state AND NEW.steps <= OLD.steps"),
                func="RAISE EXCEPTION 'amendment %: its state was changed directly', OLD.id;",
            ),
            pgtrigger.Trigger(
                name="closed_for_good",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(f"OLD.state IN ({_CLOSED})"),
                func="RAISE EXCEPTION 'amendment %: closed as %', OLD.id, OLD.state;",
            ),
            pgtrigger.ReadOnly(
                name="asked_once",
                fields=[
                    "id", "order", "account_id", "kind", "type", "time_in_force", "quantity", "price", "stop_price",
                    "disclosed_quantity", "extra_units", "need", "raised", "held", "requested_by", "reason",
                    "created_at",
                ],
            ),
            *undeletable(),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"

    @property
    def terms(self) -> Terms:
        """The terms that a modification asks for; a cancel asks for none."""
        assert self.quantity is not None, "only a modification has terms"
        return Terms(
            quantity=self.quantity, price=self.price, stop_price=self.stop_price, type=OrderType(self.type),
            time_in_force=TimeInForce(self.time_in_force), disclosed_quantity=self.disclosed_quantity or ZERO,
        )  # fmt: skip
