"""What each account has: instruments, capital, positions, and the rates they are reckoned by.

Private to this app. Money moves only as an immutable `CapitalEntry` from one bucket to another;
the database proves at commit that the buckets are the sum of the entries (see migrations 0002 and 0005).
Rupees have two decimals, prices four, averages eight.
"""

from decimal import Decimal
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import F, Q

from oms.lib.ids import new_id
from oms.lib.triggers import append_only, undeletable


def rupees_field(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=20, decimal_places=2, **options)


def price_field(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=18, decimal_places=4, **options)


def optional_price_field(**options: Any) -> "models.DecimalField[Decimal | None, Decimal | None]":
    return models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True, **options)


def quantity_field(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    """Whole units: Indian exchanges trade no fractions."""
    return models.DecimalField(max_digits=18, decimal_places=0, **options)


class Instrument(models.Model):
    """A tradable contract, from the brokers' daily dumps; price band and last close from their quotes."""

    class Type(models.TextChoices):
        EQ = "EQ", "Equity"
        FUT = "FUT", "Future"
        CE = "CE", "Call option"
        PE = "PE", "Put option"
        INDEX = "INDEX"

    exchange = models.CharField(max_length=10)
    symbol = models.CharField(max_length=40)
    name = models.CharField(max_length=120, blank=True)
    type = models.CharField(max_length=5, choices=Type, default=Type.EQ)
    segment = models.CharField(max_length=12)
    token = models.BigIntegerField(default=0, help_text="The exchange's own number; 0 when not known.")
    tick_size = price_field(default=Decimal("0.05"))
    lot_size = models.PositiveIntegerField(default=1)
    freeze_quantity: "models.DecimalField[Decimal | None, Decimal | None]" = models.DecimalField(
        max_digits=18, decimal_places=0, null=True, blank=True
    )
    lower_circuit = optional_price_field()
    upper_circuit = optional_price_field()
    previous_close = optional_price_field()
    strike = optional_price_field()
    expiry = models.DateField(null=True, blank=True)
    is_tradable = models.BooleanField(default=True)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "symbol"], name="instrument_once"),
            models.CheckConstraint(condition=Q(tick_size__gt=0, lot_size__gt=0), name="instrument_steps_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.exchange}:{self.symbol}"


class BrokerInstrument(models.Model):
    """What one kind of broker calls an instrument, and whether its last dump still listed it."""

    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="broker_names")
    kind = models.CharField(max_length=20)
    exchange = models.CharField(max_length=10)
    symbol = models.CharField(max_length=60)
    token = models.CharField(max_length=60, blank=True)
    is_listed = models.BooleanField(default=True)
    listed_at = models.DateTimeField(help_text="Since when it is listed under this name.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "instrument"], name="brokerinstrument_instrument_once"),
            models.UniqueConstraint(fields=["kind", "exchange", "symbol"], name="brokerinstrument_symbol_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.exchange}:{self.symbol}"


class CapitalAccount(models.Model):
    """A pot of capital, which the API calls a portfolio: free, reserved for orders, allocated to positions."""

    account = models.ForeignKey("compliance.Account", models.PROTECT, related_name="portfolios")
    code = models.CharField(max_length=36, unique=True, help_text="What the API calls portfolioId.")
    name = models.CharField(max_length=120)
    free = rupees_field(default=Decimal(0))
    reserved = rupees_field(default=Decimal(0))
    allocated = rupees_field(default=Decimal(0))
    entry_seq = models.PositiveBigIntegerField(default=0, help_text="Number of the last entry.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "portfolio"
        constraints = [
            models.CheckConstraint(condition=Q(reserved__gte=0), name="capital_reserved_not_negative"),
            models.CheckConstraint(condition=Q(allocated__gte=0), name="capital_allocated_not_negative"),
        ]

    def __str__(self) -> str:
        return self.code


class Bucket(models.TextChoices):
    """Where money can be. OUTSIDE is the world: the bank, the market's profit, the tax office."""

    OUTSIDE = "OUTSIDE"
    FREE = "FREE"
    RESERVED = "RESERVED"
    ALLOCATED = "ALLOCATED"


class CapitalEntry(models.Model):
    """One movement of money between two buckets of one account. Only its status may ever change.

    `balance` columns are the buckets after the entry, and `seq` counts the account's entries, so
    each row proves the next (migration 0005). A RESERVE is PENDING while its order lives.
    """

    class Kind(models.TextChoices):
        DEPOSIT = "DEPOSIT"
        WITHDRAW = "WITHDRAW"
        RESERVE = "RESERVE"
        ALLOCATE = "ALLOCATE"
        RELEASE = "RELEASE"
        FAIL = "FAIL"
        REALISE = "REALISE"
        CHARGE = "CHARGE"
        ADJUST = "ADJUST"

    class Status(models.TextChoices):
        PENDING = "PENDING"
        COMMITTED = "COMMITTED"
        FAILED = "FAILED"
        RECONCILING = "RECONCILING"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # The unique (capital_account, seq) serves every look-up; beside it an index of the account alone misleads plans.
    capital_account = models.ForeignKey(CapitalAccount, models.PROTECT, related_name="entries", db_index=False)
    account_id = models.BigIntegerField(help_text="The owner, kept here so that its rows can live together.")
    seq = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)
    status = models.CharField(max_length=11, choices=Status, default=Status.COMMITTED)
    debit = models.CharField(max_length=9, choices=Bucket, help_text="The bucket that gives.")
    credit = models.CharField(max_length=9, choices=Bucket, help_text="The bucket that receives.")
    amount = rupees_field()
    free_after = rupees_field()
    reserved_after = rupees_field()
    allocated_after = rupees_field()
    order_id = models.UUIDField(null=True, blank=True)
    execution_id = models.UUIDField(null=True, blank=True)
    reserve_id = models.UUIDField(null=True, blank=True, help_text="The RESERVE that this entry draws on.")
    key = models.CharField(max_length=120, help_text="The same key posts once.")
    actor = models.CharField(max_length=80)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "capital entries"
        constraints = [
            models.UniqueConstraint(fields=["key"], name="capitalentry_key_once"),
            models.UniqueConstraint(fields=["capital_account", "seq"], name="capitalentry_seq_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="capitalentry_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="capitalentry_moves"),
        ]
        indexes = [
            models.Index(fields=["order_id"], name="capitalentry_order", condition=Q(order_id__isnull=False)),
        ]
        triggers = [
            *undeletable(),
            pgtrigger.ReadOnly(name="only_status_changes", exclude=["status"]),
            pgtrigger.FSM(
                name="status_transitions",
                field="status",
                transitions=[
                    (a, b)
                    for a, bs in {
                        "PENDING": ("COMMITTED", "FAILED", "RECONCILING"),
                        "RECONCILING": ("COMMITTED", "FAILED", "PENDING"),
                    }.items()
                    for b in bs
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class Position(models.Model):
    """What one portfolio holds of one instrument under one product; negative when short.

    `allocated` is the capital tied up in it. `reserved_units` are promised to working orders that
    close it, so that nothing is sold twice. `buy_*` and `sell_*` count `day` only.
    """

    capital_account = models.ForeignKey(CapitalAccount, models.PROTECT, related_name="positions")
    account = models.ForeignKey("compliance.Account", models.PROTECT, related_name="positions")
    instrument = models.ForeignKey(Instrument, models.PROTECT, related_name="positions")
    product = models.CharField(max_length=4)
    quantity = quantity_field(default=Decimal(0))
    reserved_units = quantity_field(default=Decimal(0))
    average_price = models.DecimalField(max_digits=20, decimal_places=8, default=Decimal(0))
    allocated = rupees_field(default=Decimal(0))
    realised_pnl = rupees_field(default=Decimal(0))
    day = models.DateField(null=True)
    day_buy_quantity = quantity_field(default=Decimal(0))
    day_buy_value = rupees_field(default=Decimal(0))
    day_sell_quantity = quantity_field(default=Decimal(0))
    day_sell_value = rupees_field(default=Decimal(0))
    transaction_seq = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["capital_account", "instrument", "product"], name="position_once"),
            models.CheckConstraint(condition=Q(reserved_units__gte=0), name="position_units_not_negative"),
            models.CheckConstraint(condition=Q(allocated__gte=0), name="position_allocated_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.instrument_id} {self.product}"


class AssetTransaction(models.Model):
    """One execution as the books see it: immutable; replaying a position's rows gives the position."""

    class Side(models.TextChoices):
        BUY = "BUY"
        SELL = "SELL"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    position = models.ForeignKey(Position, models.PROTECT, related_name="transactions", db_index=False)
    account_id = models.BigIntegerField()
    seq = models.PositiveIntegerField(help_text="Order of booking within the position.")
    execution_id = models.UUIDField(unique=True, null=True)
    order_id = models.UUIDField(null=True)
    reverses_id = models.UUIDField(null=True, unique=True, help_text="The transaction that this one undoes.")
    side = models.CharField(max_length=4, choices=Side)
    quantity = quantity_field()
    price = price_field()
    amount = rupees_field(help_text="Quantity x price.")
    unit_margin = models.DecimalField(max_digits=18, decimal_places=6, help_text="Rupees that one opened unit ties up.")
    charges = rupees_field(default=Decimal(0))
    realised = rupees_field(default=Decimal(0))
    trade_date = models.DateField()
    booked_at = models.DateTimeField()

    class Meta:
        verbose_name = "booking"
        constraints = [
            models.UniqueConstraint(fields=["position", "seq"], name="assettransaction_seq_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="assettransaction_quantity_positive"),
        ]
        triggers = [*append_only()]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} @ {self.price}"


class ChargeRate(models.Model):
    """One line of the dated rate card: what a traded rupee costs. Rates are fractions of turnover.

    `brokerage_cap` is rupees per executed order; `stamp` falls on buys only, `stt_buy`/`stt_sell` by side.
    """

    valid_from = models.DateField()
    valid_to = models.DateField(null=True, blank=True)
    instrument_type = models.CharField(max_length=5, choices=Instrument.Type)
    product = models.CharField(max_length=4)
    brokerage = models.DecimalField(max_digits=12, decimal_places=8, default=Decimal(0))
    brokerage_cap: "models.DecimalField[Decimal | None, Decimal | None]" = models.DecimalField(
        max_digits=20, decimal_places=2, null=True, blank=True
    )
    stt_buy = models.DecimalField("STT, buy", max_digits=12, decimal_places=8, default=Decimal(0))
    stt_sell = models.DecimalField("STT, sell", max_digits=12, decimal_places=8, default=Decimal(0))
    exchange_fee = models.DecimalField(max_digits=12, decimal_places=8, default=Decimal(0))
    sebi_fee = models.DecimalField("SEBI fee", max_digits=12, decimal_places=8, default=Decimal(0))
    stamp = models.DecimalField("stamp duty, buy", max_digits=12, decimal_places=8, default=Decimal(0))
    gst = models.DecimalField("GST", max_digits=12, decimal_places=8, default=Decimal(0), help_text="On fees.")
    source = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument_type", "product", "valid_from"], name="chargerate_once")
        ]

    def __str__(self) -> str:
        return f"{self.instrument_type} {self.product} from {self.valid_from}"


class MarginRate(models.Model):
    """How much capital one rupee of exposure ties up, by kind of instrument, product and side."""

    class Basis(models.TextChoices):
        PRICE = "PRICE", "Price of the order"
        STRIKE = "STRIKE", "Strike of the option"

    instrument_type = models.CharField(max_length=5, choices=Instrument.Type)
    product = models.CharField(max_length=4)
    side = models.CharField(max_length=4, choices=AssetTransaction.Side)
    basis = models.CharField(max_length=6, choices=Basis, default=Basis.PRICE)
    rate = models.DecimalField(max_digits=9, decimal_places=6)
    valid_from = models.DateField()
    source = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instrument_type", "product", "side", "valid_from"], name="marginrate_once")
        ]

    def __str__(self) -> str:
        return f"{self.instrument_type} {self.product} {self.side} {self.rate}"
