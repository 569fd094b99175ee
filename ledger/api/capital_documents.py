"""Capital as the outside sees it: shapes of bodies and answers, and an entry's document."""

from rest_framework import serializers

from ledger.models import Bucket, CapitalAccount, CapitalEntry
from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.keysets import Keyset
from oms.lib.api.shapes import Shape
from oms.lib.api.wire import Document
from oms.lib.money import ZERO


class AvailableDocument(Shape):
    """Rupees free for new orders; up to 30 s old, though every posting clears the cache."""

    portfolio_id = serializers.CharField()
    available = ExactDecimal(places=2)


class SummaryDocument(Shape):
    """Rupees. free + reserved + allocated = deposits − withdrawals + realised P&L − charges + adjustments."""

    portfolio_id = serializers.CharField()
    account_id = serializers.CharField()
    free = ExactDecimal(places=2)
    reserved = ExactDecimal(places=2)
    allocated = ExactDecimal(places=2)
    total = ExactDecimal(places=2)
    deposits = ExactDecimal(places=2)
    withdrawals = ExactDecimal(places=2)
    realised_pnl = ExactDecimal(places=2)
    charges = ExactDecimal(places=2)
    adjustments = ExactDecimal(places=2)
    open_reservations = serializers.IntegerField()


class EntryDocument(Shape):
    """One movement from the bucket `debit` to the bucket `credit`, with the buckets after it."""

    id = serializers.UUIDField()
    seq = serializers.IntegerField()
    portfolio_id = serializers.CharField()
    kind = serializers.ChoiceField(CapitalEntry.Kind.values)
    status = serializers.ChoiceField(CapitalEntry.Status.values)
    debit = serializers.ChoiceField(Bucket.values)
    credit = serializers.ChoiceField(Bucket.values)
    amount = ExactDecimal(places=2)
    free_after = ExactDecimal(places=2)
    reserved_after = ExactDecimal(places=2)
    allocated_after = ExactDecimal(places=2)
    order_id = serializers.UUIDField(required=False)
    execution_id = serializers.UUIDField(required=False)
    reserve_id = serializers.UUIDField(required=False)
    actor = serializers.CharField()
    reason = serializers.CharField(required=False)
    created_at = serializers.DateTimeField()


class EntryKeyset(Keyset):
    content = EntryDocument(many=True)


class Deposit(Shape):
    portfolio_id = serializers.CharField(max_length=36)
    amount = ExactDecimal(digits=18, places=2, above=ZERO, help_text="Rupees.")
    reason = serializers.CharField(max_length=300)


def entry_document(entry: CapitalEntry, portfolio: CapitalAccount) -> Document:
    """One movement of money."""
    document: Document = {
        "id": entry.id,
        "seq": entry.seq,
        "portfolioId": portfolio.code,
        "kind": entry.kind,
        "status": entry.status,
        "debit": entry.debit,
        "credit": entry.credit,
        "amount": entry.amount,
        "freeAfter": entry.free_after,
        "reservedAfter": entry.reserved_after,
        "allocatedAfter": entry.allocated_after,
        "actor": entry.actor,
        "createdAt": entry.created_at,
    }
    optional = {
        "orderId": entry.order_id,
        "executionId": entry.execution_id,
        "reserveId": entry.reserve_id,
        "reason": entry.reason or None,
    }
    document.update((name, value) for name, value in optional.items() if value is not None)
    return document
