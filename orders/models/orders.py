"""The order. Its own state is the work queue (`CREATED` waits to be sent).

Only `orders.lifecycle` fires a transition; the database refuses an undeclared one (the FSM trigger below).
"""

from decimal import Decimal
from uuid import UUID

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import BooleanField, ExpressionWrapper, F, Q

from compliance.canonical import GENESIS
from oms.lib.ids import new_id
from oms.lib.money import average
from oms.lib.triggers import undeletable
from orders.models.broker_accounts import BrokerAccount
from orders.models.columns import LARGEST_PRICE, LARGEST_QUANTITY, price_field, quantity_field
from orders.states import LIVE, TABLE
from orders.transitions import OrderTransitions
from orders.types import OrderType, Side, TimeInForce, Variety

#: Columns of an order that never change without an event of its chain.
RECORDED = ("state", "quantity", "price", "stop_price", "type", "filled_quantity", "filled_value", "broker_order_id")


#: Whether a waiting order opens more than it closes.
_OPENS = ExpressionWrapper(Q(reserved_units__lt=F("quantity")), output_field=BooleanField())


def _row(name: str) -> str:
    return ", ".join(f'{name}."{column}"' for column in RECORDED)


class Order(OrderTransitions):
    """One order, from the moment a trader sends it until nothing of it is left working.

    `quantity`, `price`, `stop_price`, `type` are the terms that the broker last confirmed;
    requested ones live in an `Amendment`. `reserved_units` of the position were promised to it at
    acceptance (the part that closes; fills use those up first). `event_seq`/`event_hash` head its chain.
    """

    class Origin(models.TextChoices):
        API = "API"
        EXTERNAL = "EXTERNAL", "Found at the broker"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of a foreign key alone: each order would pay for it, and none finds few rows (migration 0003).
    account = models.ForeignKey("compliance.Account", models.PROTECT, related_name="orders", db_index=False)
    portfolio = models.ForeignKey("ledger.CapitalAccount", models.PROTECT, related_name="orders", db_index=False)
    instrument = models.ForeignKey(
        "ledger.Instrument", models.PROTECT, null=True, related_name="orders", db_index=False
    )
    broker_account = models.ForeignKey(BrokerAccount, models.PROTECT, null=True, related_name="orders", db_index=False)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.API)
    exchange = models.CharField(max_length=10)
    symbol = models.CharField(max_length=40)
    segment = models.CharField(max_length=12, blank=True)
    side = models.CharField(max_length=4, choices=Side)
    type = models.CharField(max_length=10, choices=OrderType)
    product = models.CharField(max_length=4)
    variety = models.CharField(max_length=8, choices=Variety, default=Variety.REGULAR)
    time_in_force = models.CharField(max_length=3, choices=TimeInForce, default=TimeInForce.DAY)
    validity_minutes = models.PositiveIntegerField(null=True, blank=True)
    quantity = quantity_field()
    price = price_field()
    stop_price = price_field()
    disclosed_quantity = quantity_field(default=Decimal(0))
    iceberg_legs = models.PositiveIntegerField(null=True, blank=True)
    market_protection = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    filled_quantity = quantity_field(default=Decimal(0))
    filled_value = models.DecimalField(
        max_digits=22, decimal_places=4, default=Decimal(0), help_text="Σ quantity x price executed, in rupees."
    )
    charges = models.DecimalField(max_digits=20, decimal_places=2, default=Decimal(0))
    reserved_units = quantity_field(default=Decimal(0))
    price_at_entry = price_field(help_text="The last price when the order was accepted.")
    tag = models.CharField(max_length=20, null=True, editable=False)
    broker_order_id = models.CharField(max_length=40, blank=True)
    exchange_order_id = models.CharField(max_length=40, blank=True)
    broker_status = models.CharField(max_length=40, blank=True, help_text="The broker's last word, as given.")
    broker_message = models.CharField(max_length=500, blank=True)
    client_order_id = models.CharField(max_length=64, blank=True)
    strategy_id = models.CharField(max_length=36, blank=True)
    algo_id = models.CharField(max_length=36, blank=True)
    notes = models.CharField(max_length=500, blank=True)
    rejection_code = models.CharField(max_length=40, blank=True)
    rejection_reason = models.CharField(max_length=500, blank=True)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="orders", db_index=False
    )
    version = models.PositiveIntegerField(default=1)
    modifications = models.PositiveIntegerField(default=0)
    event_seq = models.PositiveIntegerField(default=0, editable=False)
    event_hash = models.BinaryField(max_length=32, default=GENESIS, editable=False)
    reserve_id = models.UUIDField(null=True, editable=False, help_text="The ledger entry that reserves its capital.")
    sent_at = models.DateTimeField(null=True, help_text="When the attempt to send was made durable.")
    complete_misses = models.PositiveIntegerField(
        default=0, help_text="Complete polls, begun well after the attempt, that did not show it."
    )
    trade_date = models.DateField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tag"], name="order_tag_once"),
            models.UniqueConstraint(
                fields=["account", "client_order_id"], condition=~Q(client_order_id=""), name="order_client_id_once"
            ),
            models.UniqueConstraint(
                fields=["broker_account", "broker_order_id"],
                condition=~Q(broker_order_id=""),
                name="order_broker_id_once",
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_quantity_positive"),
            models.CheckConstraint(condition=Q(filled_quantity__gte=0), name="order_filled_not_negative"),
            models.CheckConstraint(
                condition=Q(
                    Q(quantity__lte=LARGEST_QUANTITY),
                    Q(filled_quantity__lte=LARGEST_QUANTITY),
                    Q(price=None) | Q(price__lte=LARGEST_PRICE),
                    Q(stop_price=None) | Q(stop_price__lte=LARGEST_PRICE),
                ),
                name="order_no_nan",
            ),
            models.CheckConstraint(
                condition=Q(type="MARKET", price=None)
                | Q(type="LIMIT", price__isnull=False)
                | Q(type="STOP", stop_price__isnull=False)
                | Q(type="STOP_LIMIT", price__isnull=False, stop_price__isnull=False),
                name="order_prices_fit_type",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-created_at", "-id"], name="order_of_account"),
            models.Index(fields=["-created_at", "-id"], name="order_latest"),
            # What waits, in the order of sending: what only closes first (see `orders.services.pacing`).
            models.Index(
                F("broker_account"),
                F("account"),
                F("exchange"),
                F("algo_id"),
                _OPENS,
                F("id"),
                condition=Q(state="CREATED"),
                name="order_to_send",
            ),
            models.Index(fields=["sent_at"], condition=Q(sent_at__isnull=False), name="order_sent"),
            models.Index(
                fields=["broker_account", "state"],
                condition=Q(state__in=sorted(LIVE)),
                name="order_live",
            ),
            models.Index(
                fields=["account", "instrument"], condition=Q(state__in=sorted(LIVE)), name="order_live_of_account"
            ),
        ]
        triggers = [
            pgtrigger.FSM(
                name="declared_transitions",
                field="state",
                transitions=sorted({(str(source), str(target)) for (source, _), target in TABLE.items()}),
            ),
            # What an order is may only change together with the event that says so.
            pgtrigger.Trigger(
                name="every_change_recorded",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    f"(({_row('OLD')}) IS DISTINCT FROM ({_row('NEW')}) AND NEW.event_seq <= OLD.event_seq)"
                ),
                func="RAISE EXCEPTION 'order %: changed without an event', OLD.id;",
            ),
            *undeletable(),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.exchange}:{self.symbol}"

    @property
    def chain(self) -> tuple[UUID, int]:
        """Where its events go."""
        return self.id, self.account_id

    @property
    def average_price(self) -> Decimal | None:
        """Average execution price in rupees to eight decimals; None before the first execution."""
        if not self.filled_quantity:
            return None
        return average(self.filled_value, self.filled_quantity)

    @property
    def remaining_quantity(self) -> Decimal:
        """Units not yet executed; the cancelled ones too, once the order has ended."""
        return self.quantity - self.filled_quantity
