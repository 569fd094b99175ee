"""What portfolios hold, and the bookings that made it so."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from compliance.admin.alerts import order_link
from compliance.admin.scoped import AccountScoped
from ledger.models import AssetTransaction, Position
from oms.lib.admin.filters import OpenOnly, exact
from oms.lib.admin.formats import chips, moment, money, number, quantity, rupees, shown
from oms.lib.admin.records import LogAdmin, find_uuid

SIDE_TONES = {"BUY": "blue", "SELL": "amber"}


class Held(OpenOnly):
    """Positions that hold something now."""

    title = "position"

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() == "all":
            return queryset
        return queryset.filter(quantity=0) if self.value() == "closed" else queryset.exclude(quantity=0)


def gain(amount: Decimal) -> Any:
    """A profit in green, a loss in red."""
    tone = "gain" if amount > 0 else "loss" if amount < 0 else "flat"
    return format_html('<span class="oms-{}">{}</span>', tone, number(rupees(amount)))


@admin.register(Position)
class PositionAdmin(AccountScoped, LogAdmin):
    list_display = (
        "instrument", shown("product"), "capital_account", quantity("quantity"), quantity("reserved_units", "promised"),
        money("average_price", "average", places=4), money("allocated", "capital tied up"), "num_realised",
        moment("updated_at", "updated"),
    )  # fmt: skip
    list_select_related = ("instrument", "capital_account")
    list_filter = (
        Held,
        ("capital_account", AutocompleteSelectFilter),
        exact("instrument__symbol", "symbol", upper=True),
    )
    list_filter_sheet = False
    keyset = ("-id",)
    sections = (
        (
            "Holding",
            (
                "instrument", "product", "capital_account", "account", "quantity", "reserved_units", "average_price",
                "allocated", "num_realised", "updated_at",
            ),
        ),
        (
            "Today",
            ("day", "day_buy_quantity", "day_buy_value", "day_sell_quantity", "day_sell_value", "transaction_seq"),
        ),
    )  # fmt: skip

    @display(description="realised P&L")
    def num_realised(self, position: Position) -> Any:
        return gain(position.realised_pnl)


@admin.register(AssetTransaction)
class AssetTransactionAdmin(AccountScoped, LogAdmin):
    list_display = (
        moment("booked_at", "booked", precise=True), chips("side", SIDE_TONES), "instrument", quantity("quantity"),
        money("price", places=4), money("amount"), money("charges"), "num_realised", "order",
    )  # fmt: skip
    list_display_links = ("col_side",)
    list_select_related = ("position__instrument",)
    search_fields = ("order_id",)
    search_help_text = "Order or execution id"
    sections = (
        (
            "Booking",
            (
                "side",
                "quantity",
                "price",
                "amount",
                "charges",
                "num_realised",
                "unit_margin",
                "trade_date",
                "booked_at",
            ),
        ),
        ("Of", ("instrument", "position", "seq", "order", "execution_id", "reverses_id")),
    )

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return find_uuid(queryset, term, ("execution_id", "order_id", "id"))

    @display(description="instrument")
    def instrument(self, booking: AssetTransaction) -> Any:
        return str(booking.position.instrument)

    @display(description="realised P&L")
    def num_realised(self, booking: AssetTransaction) -> Any:
        return gain(booking.realised)

    @display(description="order")
    def order(self, booking: AssetTransaction) -> Any:
        return order_link(booking.order_id)
