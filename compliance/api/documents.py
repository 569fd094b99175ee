"""Events as the outside sees them: the fact, who caused it, and the hashes that chain it to the one before."""

from typing import Any

from rest_framework import serializers

from compliance.models import EventType, OrderEvent
from oms.lib.actors import ActorType
from oms.lib.api.keysets import Keyset
from oms.lib.api.shapes import Shape

#: The seven facts of an order's life in the words of the requirement; others have no name there.
REQUIREMENT_NAMES = {
    EventType.ORDER_CREATED: "ORDER_CREATED",
    EventType.RISK_REJECTED: "ORDER_REJECTED",
    EventType.ORDER_PLACED: "ORDER_PLACED",
    EventType.ORDER_MODIFIED: "ORDER_MODIFIED",
    EventType.ORDER_CANCELLED: "ORDER_CANCELLED",
    EventType.ORDER_PARTIALLY_FILLED: "ORDER_FILLED",
    EventType.ORDER_FILLED: "ORDER_FILLED",
    EventType.ORDER_REJECTED: "ORDER_REJECTED",
    EventType.ORDER_EXPIRED: "ORDER_EXPIRED",
    EventType.ORDER_RECONCILED: "ORDER_RECONCILED",
}


class ActorDocument(Shape):
    """Who caused an event, and through which door."""

    type = serializers.ChoiceField([kind.value for kind in ActorType])
    id = serializers.CharField()
    channel = serializers.CharField()


class EventDocument(Shape):
    """One fact. `data` holds decimals and instants as text, exactly as they were hashed."""

    id = serializers.CharField()
    seq = serializers.IntegerField()
    event_type = serializers.ChoiceField(EventType.values)
    category = serializers.CharField(required=False, help_text="The requirement's coarser name.")
    recorded_at = serializers.DateTimeField()
    trade_date = serializers.DateField()
    broker_time = serializers.CharField(required=False, help_text="As the broker gave it.")
    actor = ActorDocument()
    data = serializers.DictField()  # type: ignore[assignment]  # a field, not the property of this name


class EventKeyset(Keyset):
    content = EventDocument(many=True)


class ChainedEventDocument(EventDocument):
    """With its proof: `hash` = SHA-256(0x00 ‖ `prevHash` ‖ `c14n`), hashes in hexadecimal, `c14n` in UTF-8."""

    session_id = serializers.CharField(required=False)
    source_ip = serializers.CharField(required=False)
    c14n = serializers.CharField()
    prev_hash = serializers.CharField()
    hash = serializers.CharField()


class VerificationDocument(Shape):
    """What recomputing every hash from the stored bytes gave, at this request."""

    ok = serializers.BooleanField()
    count = serializers.IntegerField()
    first_wrong_seq = serializers.IntegerField(required=False)
    message = serializers.CharField()


class AuditTrailDocument(Shape):
    order_id = serializers.UUIDField()
    verification = VerificationDocument()
    events = ChainedEventDocument(many=True)


def event_document(event: OrderEvent) -> dict[str, Any]:
    """The fact itself."""
    document: dict[str, Any] = {
        "id": str(event.id),
        "seq": event.seq,
        "eventType": event.event_type,
        "recordedAt": event.recorded_at,
        "tradeDate": event.trade_date,
        "actor": {"type": event.actor_type, "id": event.actor_id, "channel": event.channel},
        "data": event.data,
    }
    if category := REQUIREMENT_NAMES.get(EventType(event.event_type)):
        document["category"] = category
    if event.broker_time:
        document["brokerTime"] = event.broker_time
    return document


def chained_event_document(event: OrderEvent) -> dict[str, Any]:
    """The fact with its proof, for those who recompute it."""
    document = event_document(event)
    document |= {
        "c14n": bytes(event.c14n).decode(),
        "prevHash": bytes(event.prev_hash).hex(),
        "hash": bytes(event.hash).hex(),
    }
    optional = {"sessionId": event.session_id, "sourceIp": event.source_ip}
    document.update((name, value) for name, value in optional.items() if value)
    return document
