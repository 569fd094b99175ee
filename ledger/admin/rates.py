"""The rate cards that charges and margins are reckoned by: dated rows, each with its source."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from unfold.decorators import display

from ledger.models import ChargeRate, MarginRate
from oms.lib.admin.formats import number, shown
from oms.lib.admin.records import RecordAdmin
from oms.lib.money import decimal_text

PERCENT = Decimal(100)


def _percent(name: str, label: str) -> Any:
    def column(row: Any) -> Any:
        return number(f"{decimal_text(getattr(row, name) * PERCENT)} %")

    column.__name__ = f"num_{name}"
    column.short_description = label  # type: ignore[attr-defined]
    return column


class RateAdmin(RecordAdmin):
    """Rows whose fractions read better as percentages."""

    percents: tuple[tuple[str, str], ...] = ()

    def _value(self, row: Any, name: str) -> Any:
        if name in dict(self.percents):
            return f"{decimal_text(getattr(row, name) * PERCENT)} %"
        return super()._value(row, name)


@admin.register(ChargeRate)
class ChargeRateAdmin(RateAdmin):
    percents = (
        ("brokerage", "brokerage"), ("stt_buy", "STT buy"), ("stt_sell", "STT sell"), ("exchange_fee", "exchange"),
        ("sebi_fee", "SEBI"), ("stamp", "stamp"), ("gst", "GST"),
    )  # fmt: skip
    list_display = ("card", shown("valid_from", "from"), shown("valid_to", "to"), *(_percent(*p) for p in percents))
    list_filter = ("instrument_type",)
    ordering = ("instrument_type", "product", "-valid_from")
    sections = (
        ("Card", ("instrument_type", "product", "valid_from", "valid_to", "source")),
        (
            "Rates of turnover",
            ("brokerage", "brokerage_cap", "stt_buy", "stt_sell", "exchange_fee", "sebi_fee", "stamp", "gst"),
        ),
    )

    @display(description="card")
    def card(self, rate: ChargeRate) -> str:
        return f"{rate.get_instrument_type_display()} {rate.product}"


@admin.register(MarginRate)
class MarginRateAdmin(RateAdmin):
    percents = (("rate", "rate"),)
    list_display = ("card", shown("side"), shown("basis"), _percent("rate", "rate"), shown("valid_from", "from"))
    list_filter = ("instrument_type",)
    ordering = ("instrument_type", "product", "side")
    sections = (("Rate", ("instrument_type", "product", "side", "basis", "rate", "valid_from", "source")),)

    @display(description="card")
    def card(self, rate: MarginRate) -> str:
        return f"{rate.get_instrument_type_display()} {rate.product}"
