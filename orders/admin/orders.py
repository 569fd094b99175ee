"""Orders: the live list, and one order's page with its timeline and proof."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
    MultipleChoicesDropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from compliance.acting import acting
from compliance.admin.scoped import AccountScoped
from compliance.products import ProductCode
from compliance.selectors import accounts_visible_to
from oms.lib.admin.actions import ReasonForm, service_action
from oms.lib.admin.filters import IndianDays, exact
from oms.lib.admin.formats import EMPTY, chip, chips, moment, mono, number, rupees, units
from oms.lib.admin.records import LogAdmin, is_among, link_to
from orders.admin.tones import SIDE_TONES, STATE_TONES
from orders.models import BrokerAccount, Order
from orders.reading.timeline import story_of
from orders.services.amendments.asking import request_cancel
from orders.states import ENDED

ID_TAIL = 8


class ByProduct(DropdownFilter):
    """Products are the broker's words, kept as text."""

    title = "product"
    parameter_name = "product"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> Any:
        return [(product, product) for product in ProductCode.values]

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(product=self.value()) if self.value() else queryset


@admin.register(Order)
class OrderAdmin(AccountScoped, LogAdmin):
    """The list pages by key over any number of orders; search asks unique indexes, then the symbol."""

    list_display = (
        moment("created_at", "placed", precise=True), "what", chips("state", STATE_TONES), "num_filled", "num_price",
        "owner", "order_id", "said",
    )  # fmt: skip
    list_display_links = ("what",)
    list_select_related = ("account", "broker_account")
    list_filter = (
        ("state", MultipleChoicesDropdownFilter), ("side", ChoicesDropdownFilter), ("type", ChoicesDropdownFilter),
        ByProduct, ("account", AutocompleteSelectFilter), ("broker_account", RelatedDropdownFilter),
        exact("symbol", "symbol", upper=True), ("created_at", IndianDays),
    )  # fmt: skip
    search_fields = ("tag",)
    search_help_text = "Order id, tag, broker's or client's order id, or symbol"
    keyset = ("-created_at", "-id")
    change_form_template = "admin/orders/order.html"
    actions_detail = ("cancel",)
    actions_row = ("cancel",)

    def find(self, request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        found = order_ids_named(queryset, request.user, term)
        if found:
            return queryset.filter(pk__in=found)
        exchange, _, symbol = term.upper().rpartition(":")
        return queryset.filter(symbol=symbol, **({"exchange": exchange} if exchange else {}))

    @display(description="order")
    def what(self, order: Order) -> Any:
        side = chip(order.side, SIDE_TONES[order.side])
        return format_html(
            '<span class="oms-what">{} <b>{} {}</b> <small>{}<br>{} · {} · {}</small></span>',
            side, units(order.quantity), order.symbol, order.exchange, order.get_type_display().lower(),
            order.product, order.time_in_force,
        )  # fmt: skip

    @display(description="filled")
    def num_filled(self, order: Order) -> Any:
        if not order.filled_quantity:
            return number("–")
        percent = 100 * order.filled_quantity / order.quantity
        return format_html(
            '<span class="oms-num" title="{} of {}">{}<span class="oms-bar oms-mini">'
            '<i class="oms-filled" style="width:{}%"></i></span></span>',
            units(order.filled_quantity), units(order.quantity), units(order.filled_quantity), f"{percent:.1f}",
        )  # fmt: skip

    @display(description="price")
    def num_price(self, order: Order) -> Any:
        if order.average_price is not None and order.filled_quantity:
            return format_html(
                '<span class="oms-num" title="average of fills">{}</span>', rupees(order.average_price, 4)
            )
        limit = order.price if order.price is not None else order.stop_price
        return number(rupees(limit, 4) if limit is not None else "market")

    @display(description="account")
    def owner(self, order: Order) -> Any:
        via = order.broker_account or "no broker"
        return format_html('<span class="oms-what">{}<br><small>{}</small></span>', order.account, via)

    @display(description="id")
    def order_id(self, order: Order) -> Any:
        return mono(str(order.pk), f"…{str(order.pk)[-ID_TAIL:]}")

    @display(description="why")
    def said(self, order: Order) -> Any:
        text = order.rejection_reason or order.broker_message
        return format_html('<span class="oms-clip" title="{}">{}</span>', text, text) if text else EMPTY

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("orders.change_order") and (
            object_id is None or is_among(self.get_queryset(request).exclude(state__in=ENDED), object_id)
        )

    @service_action(
        "Cancel the order",
        permission="cancel",
        text="The broker is asked to cancel what is not yet executed. Fills that are already on their way still count.",
        icon="cancel",
        danger=True,
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        order = self.get_queryset(request).get(pk=UUID(str(object_id)))
        request_cancel(order.pk, reason=form.cleaned_data["reason"], **acting(request))
        return f"Cancellation of {order} is on its way; the timeline shows when the broker confirms it."

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        order = kwargs["obj"]
        context["order"] = order
        context["story"] = story_of(order)
        context["percent_filled"] = float(100 * order.filled_quantity / order.quantity)
        context["account_link"] = link_to(order.account, order.account.name)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        try:
            pk = UUID(object_id)
        except ValueError:
            return None
        related = ("account", "portfolio", "instrument", "broker_account", "placed_by")
        return self.get_queryset(request).select_related(*related).filter(pk=pk).first()


def order_ids_named(queryset: "QuerySet[Any]", user: Any, term: str) -> list[UUID]:
    """Ids of the orders that a term names, each looked for through a unique index of its own."""
    try:
        return [UUID(term)]
    except ValueError:
        pass
    by_broker = queryset.filter(broker_account__in=BrokerAccount.objects.values("pk"), broker_order_id=term)
    by_client = queryset.filter(account__in=accounts_visible_to(user).values("pk"), client_order_id=term)
    found: list[UUID] = []
    for rows in (queryset.filter(tag=term.upper()), by_broker, by_client):
        found += rows.order_by().values_list("pk", flat=True)[:50]
    return found
