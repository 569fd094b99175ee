"""What somebody must look at: open alerts first, closed with a reason."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from unfold.decorators import display

from compliance.acting import person
from compliance.admin.scoped import AccountScoped
from compliance.models import Alert
from compliance.services.alerts import close_alert
from oms.lib.admin.actions import ReasonForm, service_action
from oms.lib.admin.filters import OpenOnly
from oms.lib.admin.formats import EMPTY, chips, moment
from oms.lib.admin.records import LogAdmin, is_among
from oms.lib.clock import now

SEVERITY_TONES = {"INFO": "blue", "WARNING": "amber", "CRITICAL": "red"}


class OpenAlerts(OpenOnly):
    condition = {"closed_at": None}


@admin.register(Alert)
class AlertAdmin(AccountScoped, LogAdmin):
    list_display = (
        chips("severity", SEVERITY_TONES),
        "summary",
        "kind",
        "account",
        "order",
        "count",
        moment("last_raised_at", "last raised"),
        moment("closed_at", "closed"),
    )
    list_display_links = ("summary",)
    list_select_related = ("account",)
    list_filter = (OpenAlerts, "severity")
    list_filter_sheet = False
    keyset = ("-last_raised_at", "-id")
    sections = (
        ("Alert", ("severity", "summary", "kind", "account", "order", "count", "raised_at", "last_raised_at")),
        ("Evidence", ("details", "key")),
        ("Closed", ("closed_at", "closed_by", "closing_reason")),
    )
    actions_detail = ("close",)
    actions_row = ("close",)

    @display(description="order")
    def order(self, alert: Alert) -> Any:
        return order_link(alert.order_id)

    def has_close_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("compliance.change_alert") and (
            object_id is None or is_among(self.get_queryset(request).filter(closed_at=None), object_id)
        )

    @service_action("Close the alert", permission="close", icon="task_alt")
    def close(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        alert = close_alert(int(object_id), reason=form.cleaned_data["reason"], user=person(request), at=now())
        return f"Closed: {alert.summary}"


def order_link(order_id: Any) -> Any:
    """A link to an order's timeline by its id alone: this app knows no more of orders."""
    if order_id is None:
        return EMPTY
    try:
        url = reverse("admin:orders_order_change", args=[order_id])
    except NoReverseMatch:
        return str(order_id)
    return format_html('<a class="oms-link oms-mono" href="{}" title="{}">…{}</a>', url, order_id, str(order_id)[-8:])
