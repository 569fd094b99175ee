"""Executions, amendments and what brokers said: the facts around orders."""

import json
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from compliance.admin.scoped import AccountScoped
from oms.lib.admin.filters import IndianDays, OpenOnly
from oms.lib.admin.formats import EMPTY, chip, chips, clipped, moment, money, quantity, rupees, units
from oms.lib.admin.records import LogAdmin, find_uuid, link_to
from orders.admin.tones import AMENDMENT_TONES, SIDE_TONES, SOURCE_TONES
from orders.models import Amendment, BrokerMessage, Execution
from orders.states import OPEN_AMENDMENTS


class OfOrder(AccountScoped, LogAdmin):
    """Rows of an order, found by the order's id or their own."""

    list_select_related: tuple[str, ...] = ("order",)
    search_help_text = "Order id"
    search_fields: tuple[str, ...] = ("order_id",)

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return find_uuid(queryset, term, ("order_id", "id"))

    @display(description="order")
    def of_order(self, row: Any) -> Any:
        return link_to(row.order)


@admin.register(Execution)
class ExecutionAdmin(OfOrder):
    list_display = (
        moment("traded_at", "traded"), chips("side", SIDE_TONES), "of_order", quantity("quantity"),
        money("price", places=4), money("charges"), "kind", "trade_id", "broker_account",
        moment("recorded_at", "recorded", precise=True),
    )  # fmt: skip
    list_display_links = ("col_side",)
    list_select_related = ("order", "broker_account")
    list_filter = (
        ("side", ChoicesDropdownFilter),
        ("broker_account", RelatedDropdownFilter),
        ("recorded_at", IndianDays),
    )
    search_help_text = "Order id, execution id or trade id"
    sections = (
        (
            "Trade",
            ("side", "quantity", "price", "charges", "kind", "exchange", "traded_at", "trade_date", "recorded_at"),
        ),
        ("Identity", ("of_order", "broker_account", "broker_order_id", "trade_id", "reverses", "id")),
    )

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return find_uuid(queryset, term, ("order_id", "id"), trade_id=term)

    @display(description="kind")
    def kind(self, execution: Execution) -> Any:
        if execution.reverses_id:
            return chip("reversal", "red", "Undoes an earlier execution")
        if execution.is_inferred:
            return chip("inferred", "amber", "From the order book: the trade was not yet seen")
        return chip("trade", "green")


class InFlight(OpenOnly):
    """Amendments that the broker has not settled."""

    condition = {"state__in": OPEN_AMENDMENTS}

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        return [("closed", "Settled"), ("all", "All")]


@admin.register(Amendment)
class AmendmentAdmin(OfOrder):
    list_display = (
        moment("created_at", "asked", precise=True), "kind", chips("state", AMENDMENT_TONES), "of_order", "wanted",
        "requested_by", clipped("reason"), "attempts", moment("sent_at", "sent"), clipped("message"),
    )  # fmt: skip
    list_display_links = ("kind",)
    list_filter = (
        InFlight,
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("created_at", IndianDays),
    )
    sections = (
        ("Amendment", ("kind", "state", "of_order", "wanted", "requested_by", "reason", "created_at", "updated_at")),
        ("Terms asked for", ("type", "quantity", "price", "stop_price", "time_in_force", "disclosed_quantity")),
        ("Sending", ("due_at", "sent_at", "attempts", "message")),
    )

    @display(description="asks for")
    def wanted(self, amendment: Amendment) -> Any:
        return wanted_terms(amendment) or EMPTY


def wanted_terms(amendment: Amendment) -> str:
    """The terms that a modification asks for, in a few words; empty for a cancel."""
    parts = [amendment.type, amendment.time_in_force]
    if amendment.quantity is not None:
        parts.append(f"{units(amendment.quantity)} units")
    if amendment.price is not None:
        parts.append(f"at {rupees(amendment.price, 4)}")
    if amendment.stop_price is not None:
        parts.append(f"trigger {rupees(amendment.stop_price, 4)}")
    return " ".join(part for part in parts if part)


@admin.register(BrokerMessage)
class BrokerMessageAdmin(OfOrder):
    account_path = "order__account_id"
    list_display = (
        moment("received_at", "received", precise=True),
        chips("source", SOURCE_TONES),
        clipped("summary"),
        "of_order",
    )
    list_display_links = ("col_source",)
    list_filter = (("source", ChoicesDropdownFilter), ("received_at", IndianDays))
    sections = (("Message", ("source", "summary", "received_at", "of_order")), ("As received", ("raw_text",)))

    @display(description="raw")
    def raw_text(self, message: BrokerMessage) -> Any:
        return pretty(message.raw)


def pretty(document: Any) -> Any:
    """JSON laid out for reading."""
    return format_html("<pre>{}</pre>", json.dumps(document, indent=2, ensure_ascii=False, default=str))
