"""What the order endpoints take: shapes of bodies and queries, checked without a database.

Whether an order may be placed is decided by screening; here only whether it can be understood.
"""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from compliance.products import ProductCode
from ledger.market.hours import HOURS
from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.shapes import Shape
from oms.lib.money import ZERO
from orders.types import (
    AUTOMATIC_PROTECTION,
    PRICED,
    STOPS,
    UNPRICED,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
    Variety,
)

SYMBOL = r"^([A-Z]{2,4}:)?[A-Z0-9][A-Z0-9&_.\- ]{0,39}$"
CLIENT_KEY = r"^[\x21-\x7e]+$"


def refuse(errors: dict[str, tuple[str, str]]) -> None:
    """Raise one error per field (wire name → code, message), if there are any."""
    if errors:
        raise ValidationError({name: [ErrorDetail(message, code)] for name, (code, message) in errors.items()})


def price_field(**options: Any) -> ExactDecimal:
    return ExactDecimal(places=4, above=ZERO, required=False, **options)


def quantity_field(**options: Any) -> ExactDecimal:
    return ExactDecimal(places=0, above=ZERO, **options)


def symbol_field(**options: Any) -> serializers.RegexField:
    return serializers.RegexField(
        SYMBOL, max_length=45, help_text="`SBIN` (on `exchange`, NSE unless said) or `NSE:SBIN`.", **options
    )


def time_in_force_field(**options: Any) -> serializers.ChoiceField:
    return serializers.ChoiceField(
        ["DAY", "IOC", "TTL"],
        error_messages={"invalid_choice": "{input} is not available: the broker offers DAY, IOC and TTL."},
        help_text="GTC and FOK are refused: the broker offers DAY, IOC and TTL (with `validityMinutes`).",
        **options,
    )


class PlaceOrder(Shape):
    """A new order."""

    account_id = serializers.CharField(max_length=36)
    portfolio_id = serializers.CharField(max_length=36, required=False, help_text="Default: the account's first.")
    symbol = symbol_field()
    exchange = serializers.ChoiceField(list(HOURS), required=False, help_text="Default: NSE.")
    side = serializers.ChoiceField(Side.values)
    type = serializers.ChoiceField(
        OrderType.values, help_text="STOP turns into MARKET at the stop price, STOP_LIMIT into LIMIT."
    )
    quantity = quantity_field(help_text="Units, not lots.")
    price = price_field(help_text="Required for LIMIT and STOP_LIMIT, not allowed otherwise.")
    stop_price = price_field(help_text="Required for STOP and STOP_LIMIT, not allowed otherwise.")
    time_in_force = time_in_force_field(default="DAY")
    validity_minutes = serializers.IntegerField(
        min_value=1, max_value=1440, required=False, help_text="Required for TTL, not allowed otherwise."
    )
    product = serializers.ChoiceField(ProductCode.values, default="CNC")
    variety = serializers.ChoiceField(Variety.values, default="regular")
    disclosed_quantity = ExactDecimal(places=0, required=False)
    iceberg_legs = serializers.IntegerField(
        min_value=2, max_value=10, required=False, help_text="Required for iceberg, not allowed otherwise."
    )
    market_protection = ExactDecimal(
        digits=5, places=2, required=False,
        help_text="Percent, for MARKET and STOP. -1, the default, leaves it to the broker.",
    )  # fmt: skip
    client_order_id = serializers.RegexField(
        CLIENT_KEY, max_length=64, required=False,
        help_text="Your own reference, unique per account; also serves as idempotency key.",
    )  # fmt: skip
    strategy_id = serializers.CharField(max_length=36, required=False)
    algo_id = serializers.CharField(max_length=36, required=False)
    notes = serializers.CharField(max_length=500, required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        refuse(_inconsistencies(attrs))
        return attrs


def _inconsistencies(given: dict[str, Any]) -> dict[str, tuple[str, str]]:
    kind, variety = given["type"], given["variety"]
    errors: dict[str, tuple[str, str]] = {}

    def goes_with(name: str, wire_name: str, condition: str, *, holds: bool) -> None:
        if holds and name not in given:
            errors[wire_name] = ("required", f"Required for {condition}.")
        elif not holds and name in given:
            errors[wire_name] = ("not_allowed", f"Only for {condition}.")

    goes_with("price", "price", "LIMIT and STOP_LIMIT orders", holds=kind in PRICED)
    goes_with("stop_price", "stopPrice", "STOP and STOP_LIMIT orders", holds=kind in STOPS)
    goes_with("validity_minutes", "validityMinutes", "TTL", holds=given["time_in_force"] == TimeInForce.TTL)
    goes_with("iceberg_legs", "icebergLegs", "iceberg orders", holds=variety == Variety.ICEBERG)
    protection = given.get("market_protection")
    if protection is not None:
        if kind not in UNPRICED:
            errors["marketProtection"] = ("not_allowed", "Only for MARKET and STOP orders.")
        elif protection != AUTOMATIC_PROTECTION and not 0 < protection <= 100:
            errors["marketProtection"] = ("out_of_range", "Must be -1 or a percentage above 0, at most 100.")
    if not 0 <= given.get("disclosed_quantity", ZERO) <= given["quantity"]:
        errors["disclosedQuantity"] = ("out_of_range", "Must be between 0 and the quantity.")
    prefix = given["symbol"].partition(":")[0] if ":" in given["symbol"] else None
    if prefix is not None and prefix not in HOURS:
        errors["symbol"] = ("unknown_exchange", f"{prefix} is no exchange here.")
    elif prefix is not None and given.get("exchange", prefix) != prefix:
        errors["exchange"] = ("contradiction", f"The symbol says {prefix}.")
    return errors


def order_request(given: dict[str, Any]) -> OrderRequest:
    """The typed request of what `PlaceOrder.read` gave."""
    prefix, _, bare = given["symbol"].rpartition(":")
    kind = OrderType(given["type"])
    return OrderRequest(
        account=given["account_id"],
        exchange=prefix or given.get("exchange", "NSE"),
        symbol=bare,
        side=Side(given["side"]),
        type=kind,
        quantity=given["quantity"],
        price=given.get("price"),
        stop_price=given.get("stop_price"),
        time_in_force=TimeInForce(given["time_in_force"]),
        validity_minutes=given.get("validity_minutes"),
        product=given["product"],
        variety=Variety(given["variety"]),
        disclosed_quantity=given.get("disclosed_quantity", ZERO),
        iceberg_legs=given.get("iceberg_legs"),
        market_protection=given.get("market_protection", AUTOMATIC_PROTECTION) if kind in UNPRICED else None,
        portfolio=given.get("portfolio_id"),
        client_order_id=given.get("client_order_id", ""),
        strategy_id=given.get("strategy_id", ""),
        algo_id=given.get("algo_id", ""),
        notes=given.get("notes", ""),
    )
