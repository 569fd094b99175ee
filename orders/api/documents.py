"""The shapes of the answers about orders, for the API's description. What fills them is `orders.reading.documents`."""

from rest_framework import serializers

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.keysets import Keyset
from oms.lib.api.pages import Page
from oms.lib.api.schema import Problem
from oms.lib.api.shapes import Shape
from orders.models import Amendment, Order
from orders.states import AmendmentState, PublicStatus, State
from orders.types import OrderType, Side, Variety

TIMES_IN_FORCE = ["DAY", "IOC", "TTL", "GTC", "FOK"]


def _text(**options: object) -> serializers.CharField:
    return serializers.CharField(required=False, **options)  # type: ignore[arg-type]


def _number(**options: object) -> ExactDecimal:
    return ExactDecimal(required=False, **options)  # type: ignore[arg-type]


class ExecutionDocument(Shape):
    """One execution. `inferred`: seen in the order book before its trade was."""

    id = serializers.UUIDField()
    execution_id = serializers.CharField()
    quantity = ExactDecimal(places=0)
    price = ExactDecimal()
    timestamp = serializers.DateTimeField()
    fees = ExactDecimal(places=2)
    venue = serializers.CharField()
    inferred = serializers.BooleanField(required=False)
    reverses = serializers.UUIDField(required=False, help_text="The execution that this one undoes.")


class AmendmentDocument(Shape):
    """A modification or cancellation on its way, with the terms asked for."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(Amendment.Kind.values)
    state = serializers.ChoiceField(AmendmentState.values)
    created_at = serializers.DateTimeField()
    type = serializers.ChoiceField(OrderType.values, required=False)
    time_in_force = serializers.ChoiceField(TIMES_IN_FORCE, required=False)
    quantity = _number(places=0)
    price = _number()
    stop_price = _number()
    disclosed_quantity = _number(places=0)
    reason = _text()
    message = _text()


class StatusMembers(Shape):
    """Where an order stands. `state` is the detailed state behind the contract's `status`."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(PublicStatus.values)
    state = serializers.ChoiceField(State.values)
    provisional = serializers.BooleanField(required=False, help_text="Not found at the broker, and may yet turn up.")
    quantity = ExactDecimal(places=0)
    filled_quantity = ExactDecimal(places=0)
    remaining_quantity = ExactDecimal(places=0)
    average_execution_price = _number()
    version = serializers.IntegerField()
    updated_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(required=False)


class StatusDocument(StatusMembers):
    """Just where the order stands."""


class OrderDocument(StatusMembers):
    """An order. A member that is absent is not set."""

    account_id = serializers.CharField()
    portfolio_id = serializers.CharField()
    exchange = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(Side.values)
    type = serializers.ChoiceField(OrderType.values)
    product = serializers.CharField()
    variety = serializers.ChoiceField(Variety.values)
    time_in_force = serializers.ChoiceField(TIMES_IN_FORCE)
    origin = serializers.ChoiceField(Order.Origin.values)
    trade_date = serializers.DateField()
    created_at = serializers.DateTimeField()
    execution_reports = ExecutionDocument(many=True)
    price = _number()
    stop_price = _number()
    validity_minutes = serializers.IntegerField(required=False)
    disclosed_quantity = _number(places=0)
    iceberg_legs = serializers.IntegerField(required=False)
    market_protection = _number()
    price_at_entry = _number()
    charges = _number()
    client_order_id = _text()
    strategy_id = _text()
    algo_id = _text()
    notes = _text()
    broker_order_id = _text()
    exchange_order_id = _text()
    broker_status = _text()
    rejection_code = _text()
    rejection_reason = _text()
    pending_amendments = AmendmentDocument(many=True, required=False)


class OrderPage(Page):
    content = OrderDocument(many=True)


class ExecutionKeyset(Keyset):
    content = ExecutionDocument(many=True)


class RefusedOrder(Problem):
    """The order was refused and is stored; `code` says by which rule."""

    order_id = serializers.UUIDField(required=False)
