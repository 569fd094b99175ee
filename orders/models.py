"""Orders, their amendments and executions, and the broker accounts that they are sent through.

An order's own state is the work queue (`CREATED` waits to be sent). Only `orders.lifecycle`
fires a transition; the database refuses an undeclared one (the FSM trigger below).
"""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pgtrigger
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from fernet_fields import EncryptedCharField

from compliance.canonical import GENESIS
from oms.lib.ids import new_id
from oms.lib.triggers import append_only, undeletable
from orders.states import LIVE, TABLE
from orders.transitions import Transitions
from orders.types import OrderType, Side, TimeInForce, Variety


def _price(**options: Any) -> "models.DecimalField[Decimal | None, Decimal | None]":
    return models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True, **options)


def _quantity(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=18, decimal_places=0, **options)


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


#: Columns of an order that never change without an event of its chain.
RECORDED = ("state", "quantity", "price", "stop_price", "type", "filled_quantity", "filled_value", "broker_order_id")


def _row(name: str) -> str:
    return ", ".join(f'{name}."{column}"' for column in RECORDED)


class Order(Transitions):
    """One order, from the moment a trader sends it until nothing of it is left working.

    `quantity`, `price`, `stop_price`, `type` are the terms that the broker last confirmed;
    requested ones live in an `Amendment`. `reserved_units` of the position were promised to it at
    acceptance (the part that closes; fills use those up first). `event_seq`/`event_hash` head its chain.
    """

    #: The finding that refused it, on the very object that placement returned; not stored.
    denial: Any = None

    class Origin(models.TextChoices):
        API = "API"
        ADMIN = "ADMIN"
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
    quantity = _quantity()
    price = _price()
    stop_price = _price()
    disclosed_quantity = _quantity(default=Decimal(0))
    iceberg_legs = models.PositiveIntegerField(null=True, blank=True)
    market_protection = models.DecimalField(max_digits=6, decimal_places=2, null=True, blank=True)
    filled_quantity = _quantity(default=Decimal(0))
    filled_value = models.DecimalField(
        max_digits=22, decimal_places=4, default=Decimal(0), help_text="Σ quantity x price executed, in rupees."
    )
    charges = models.DecimalField(max_digits=20, decimal_places=2, default=Decimal(0))
    reserved_units = _quantity(default=Decimal(0))
    price_at_entry = _price(help_text="The last price when the order was accepted.")
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
            models.Index(fields=["broker_account", "id"], condition=Q(state="CREATED"), name="order_to_send"),
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
        return (self.filled_value / self.filled_quantity).quantize(Decimal("0.00000001"))

    @property
    def remaining_quantity(self) -> Decimal:
        """Units not yet executed; the cancelled ones too, once the order has ended."""
        return self.quantity - self.filled_quantity


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
    quantity = _quantity(null=True, blank=True)
    price = _price()
    stop_price = _price()
    disclosed_quantity = _quantity(null=True, blank=True)
    reserve_id = models.UUIDField(null=True, editable=False, help_text="The entry that raised the reservation.")
    extra_units = _quantity(default=Decimal(0))
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
    quantity = _quantity()
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
