"""Tradable contracts, as the broker's daily list gave them."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from ledger.market.prices import get_prices
from ledger.models import Instrument
from oms.lib.admin.filters import exact
from oms.lib.admin.formats import EMPTY, instant, money, quantity, rupees, shown
from oms.lib.admin.records import LogAdmin
from oms.lib.clock import now


@admin.register(Instrument)
class InstrumentAdmin(LogAdmin):
    list_display = (
        "symbol", "exchange", "name", shown("type"), shown("expiry"), money("strike"), money("tick_size", places=4),
        "lot_size", money("previous_close", places=4), quantity("freeze_quantity"), shown("is_tradable", "tradable"),
    )  # fmt: skip
    list_filter = (exact("exchange", "exchange", upper=True), ("type", ChoicesDropdownFilter), "is_tradable")
    search_fields = ("symbol",)
    search_help_text = "SBIN, NSE:SBIN or part of a symbol"
    keyset = ("exchange", "symbol")
    sections = (
        ("Contract", ("exchange", "symbol", "name", "type", "segment", "expiry", "strike", "token")),
        (
            "Trading rules",
            ("tick_size", "lot_size", "freeze_quantity", "lower_circuit", "upper_circuit", "is_tradable"),
        ),
        ("Prices", ("last_price", "previous_close", "updated_at")),
    )

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        exchange, _, symbol = term.upper().rpartition(":")
        if exchange:
            return queryset.filter(exchange=exchange, symbol__startswith=symbol)
        return queryset.filter(symbol__contains=symbol)

    @display(description="last price")
    def last_price(self, instrument: Instrument) -> Any:
        last = get_prices([instrument.pk], at=now()).get(instrument.pk)
        if last is None:
            return EMPTY
        return format_html("{} at {}", rupees(last.price, 4), instant(last.at))
