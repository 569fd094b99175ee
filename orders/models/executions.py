"""What brokers reported of orders: executions, and their messages as received."""

from decimal import Decimal

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q

from oms.lib.ids import new_id
from oms.lib.triggers import append_only
from orders.models.broker_accounts import BrokerAccount
from orders.models.columns import LARGEST_PRICE, LARGEST_QUANTITY, quantity_field
from orders.models.orders import Order
from orders.types import Side


class Execution(models.Model):
    """One trade of one order, as the broker reported it or as we inferred it from the order book.

    Never edited: a wrong or superseded one is undone by a later row that points at it (`reverses`).
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="executions")
    account_id = models.BigIntegerField()
    broker_account = models.ForeignKey(BrokerAccount, models.PROTECT, related_name="executions", db_index=False)
    exchange = models.CharField(max_length=10)
    broker_order_id = models.CharField(max_length=40)
    trade_id = models.CharField(max_length=60)
    trade_date = models.DateField()
    side = models.CharField(max_length=4, choices=Side)
    quantity = quantity_field()
    price = models.DecimalField(max_digits=18, decimal_places=4)
    charges = models.DecimalField(max_digits=20, decimal_places=2, default=Decimal(0))
    is_inferred = models.BooleanField(default=False, help_text="From the order book, the trade not yet seen.")
    reverses = models.OneToOneField("self", models.PROTECT, null=True, related_name="reversed_by")
    traded_at = models.DateTimeField(help_text="The exchange's time, where it gave one.")
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker_account", "exchange", "broker_order_id", "trade_id", "trade_date"],
                name="execution_once",
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="execution_quantity_positive"),
            models.CheckConstraint(
                condition=Q(quantity__lte=LARGEST_QUANTITY, price__lte=LARGEST_PRICE), name="execution_no_nan"
            ),
        ]
        triggers = [*append_only()]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price}"


class BrokerMessage(models.Model):
    """What a broker said about an order, as received; secrets never reach it. For the order's timeline."""

    class Source(models.TextChoices):
        PLACE = "PLACE", "Answer to place"
        MODIFY = "MODIFY", "Answer to modify"
        CANCEL = "CANCEL", "Answer to cancel"
        POLL = "POLL", "Order book"
        POSTBACK = "POSTBACK", "Read after a postback"
        LOOK = "LOOK", "Targeted look"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="broker_messages", db_index=False)
    source = models.CharField(max_length=8, choices=Source)
    summary = models.CharField(max_length=300)
    raw = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    received_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["order", "received_at"], name="brokermessage_of_order")]

    def __str__(self) -> str:
        return f"{self.source} {self.summary}"
