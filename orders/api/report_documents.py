"""The shapes of reports over orders and of cancel-all's results, for the API's description."""

from rest_framework import serializers

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.pages import Page
from oms.lib.api.shapes import Shape
from orders.api.documents import ExecutionDocument
from orders.states import PublicStatus, State
from orders.types import OrderType, Side


class SlippageDocument(Shape):
    """Against the price when the order was accepted; positive is worse than that price."""

    arrival_price = ExactDecimal()
    per_unit = ExactDecimal()
    amount = ExactDecimal()
    basis_points = ExactDecimal()


class ExecutionReportDocument(Shape):
    """How well an order was executed; value and charges in rupees."""

    order_id = serializers.UUIDField()
    account_id = serializers.CharField()
    exchange = serializers.CharField()
    symbol = serializers.CharField()
    side = serializers.ChoiceField(Side.values)
    type = serializers.ChoiceField(OrderType.values)
    status = serializers.ChoiceField(PublicStatus.values)
    state = serializers.ChoiceField(State.values)
    quantity = ExactDecimal(places=0)
    filled_quantity = ExactDecimal(places=0)
    fills = serializers.IntegerField()
    average_price = ExactDecimal(required=False)
    value = ExactDecimal()
    charges = ExactDecimal()
    slippage = SlippageDocument(required=False)
    first_fill_at = serializers.DateTimeField(required=False)
    last_fill_at = serializers.DateTimeField(required=False)
    completed_at = serializers.DateTimeField(required=False)
    executions = ExecutionDocument(many=True)


class CancelResult(Shape):
    """What became of one order of a cancel-all. `code` and `detail` say why it was refused."""

    order_id = serializers.UUIDField()
    outcome = serializers.ChoiceField(["CANCELED", "REQUESTED", "REFUSED"])
    code = serializers.CharField(required=False)
    detail = serializers.CharField(required=False)


class CancelAllDocument(Shape):
    results = CancelResult(many=True)


class Figures(Shape):
    """Rupees executed, by side, and the charges on it."""

    buy_notional = ExactDecimal()
    sell_notional = ExactDecimal()
    charges = ExactDecimal()


class StatisticsDocument(Figures):
    """Over the orders that fit; rates are fractions of their number."""

    from_date = serializers.DateTimeField()
    to_date = serializers.DateTimeField(required=False)
    total_orders = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())
    fill_rate = ExactDecimal(required=False)
    reject_rate = ExactDecimal(required=False)
    rejections = serializers.DictField(child=serializers.IntegerField(), help_text="Counts by rejection code.")


class DayDocument(Figures):
    """One trade date (in India) of one account."""

    trade_date = serializers.DateField()
    account_id = serializers.CharField()
    total_orders = serializers.IntegerField()
    filled_orders = serializers.IntegerField()
    canceled_orders = serializers.IntegerField()
    rejected_orders = serializers.IntegerField()
    expired_orders = serializers.IntegerField()


class DayPage(Page):
    content = DayDocument(many=True)
