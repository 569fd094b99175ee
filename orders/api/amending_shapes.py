"""What changing and cancelling take."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.shapes import Shape
from oms.lib.money import ZERO
from orders.api.shapes import price_field, quantity_field, refuse, symbol_field, time_in_force_field
from orders.types import OrderType, Side


class CancelOrder(Shape):
    notes = serializers.CharField(max_length=300, required=False, allow_blank=True, help_text="Why.")


class UpdateOrder(CancelOrder):
    """`CANCEL` takes nothing else but notes; `MODIFY` at least one new term."""

    action = serializers.ChoiceField(["MODIFY", "CANCEL"])
    quantity = quantity_field(required=False)
    price = price_field()
    stop_price = price_field()
    type = serializers.ChoiceField(OrderType.values, required=False)
    time_in_force = time_in_force_field(required=False)
    disclosed_quantity = ExactDecimal(places=0, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        terms = attrs.keys() - {"action", "notes"}
        if attrs["action"] == "CANCEL" and terms:
            names = {field.source: name for name, field in self.fields.items()}
            refuse({names[term]: ("not_allowed", "A cancellation changes no terms.") for term in terms})
        if attrs["action"] == "MODIFY" and not terms:
            raise ValidationError("A modification needs at least one new term.", code="required")
        if attrs.get("disclosed_quantity", ZERO) < 0:
            refuse({"disclosedQuantity": ("out_of_range", "Must not be negative.")})
        return attrs


class CancelAll(CancelOrder):
    """Every working order that fits; all of yours when nothing is said."""

    account_id = serializers.CharField(max_length=36, required=False)
    symbol = symbol_field(required=False)
    side = serializers.ChoiceField(Side.values, required=False)
    strategy_id = serializers.CharField(max_length=36, required=False)
