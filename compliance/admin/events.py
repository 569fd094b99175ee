"""The event log: every fact with its place in its chain and its hash, and the chain recomputed on its page."""

import json
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from compliance.admin.alerts import order_link
from compliance.admin.scoped import AccountScoped
from compliance.models import Account, OrderEvent
from compliance.selectors import account_events, order_events
from compliance.verification import verify_chain
from oms.lib.admin.formats import chip, moment, mono
from oms.lib.admin.records import LogAdmin

SHORT_HASH = 10


def event_tone(event_type: str) -> str:
    """Red for what failed or was refused, green for what was reached, violet for money, grey for the rest."""
    if event_type.startswith("CAPITAL"):
        return "violet"
    if any(word in event_type for word in ("REJECTED", "LOST", "FAILED", "UNCONFIRMED", "REVERSED", "KILL_SWITCH_ON")):
        return "red"
    if any(word in event_type for word in ("CANCEL", "EXPIRED", "MODIF", "LIMIT", "CLOSED", "RECONCILED", "ADOPTED")):
        return "amber"
    if any(word in event_type for word in ("FILLED", "EXECUTION", "OPENED", "KILL_SWITCH_OFF")):
        return "green"
    return "blue"


@admin.register(OrderEvent)
class OrderEventAdmin(AccountScoped, LogAdmin):
    list_display = (
        moment("recorded_at", "recorded", precise=True),
        "type",
        "order",
        "account",
        "seq",
        "actor",
        "short_hash",
    )
    list_display_links = ("type",)
    list_filter = (("trade_date", RangeDateFilter), ("event_type", ChoicesDropdownFilter))
    search_fields = ("order_id",)
    search_help_text = "Order id"
    keyset = ("-trade_date", "-id")
    sections = (
        ("Fact", ("type", "recorded_at", "trade_date", "order", "account", "broker_time")),
        ("Actor", ("actor_type", "actor_id", "channel", "session_id", "api_key_id", "source_ip")),
        ("Proof", ("chain", "seq", "prev_hash", "hash", "xid")),
        ("Recorded bytes", ("recorded",)),
    )

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        try:
            return queryset.filter(order_id=UUID(term))
        except ValueError:
            return queryset.none()

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        code = Account.objects.filter(pk=OuterRef("account_id")).values("code")
        found: QuerySet[Any] = super().get_queryset(request).annotate(account_code=Subquery(code))
        return found

    def has_view_permission(self, request: HttpRequest, _obj: Any = None) -> bool:
        return bool(request.user.has_perm("compliance.view_orderevent"))

    @display(description="event")
    def type(self, event: OrderEvent) -> Any:
        return chip(event.event_type.replace("_", " "), event_tone(event.event_type))

    @display(description="order")
    def order(self, event: OrderEvent) -> Any:
        return order_link(event.order_id)

    @display(description="account")
    def account(self, event: Any) -> Any:
        return event.account_code

    @display(description="actor")
    def actor(self, event: OrderEvent) -> Any:
        who = f"#{event.actor_id}" if event.actor_id.isdigit() else ""
        return format_html('{} {} <small class="oms-subtle">{}</small>', event.actor_type.lower(), who, event.channel)

    @display(description="hash")
    def short_hash(self, event: OrderEvent) -> Any:
        text = bytes(event.hash).hex()
        return mono(text, f"{text[:SHORT_HASH]}…")

    @display(description="chain, recomputed now")
    def chain(self, event: OrderEvent) -> Any:
        events = order_events(event.order_id) if event.order_id else account_events(event.account_id)
        head = None
        if event.order_id is None:
            head = Account.objects.values_list("event_hash", flat=True).get(pk=event.account_id)
        report = verify_chain(events, head=bytes(head) if head is not None else None)
        return format_html(
            "{} {}", chip(f"{report.count} events", "green") if report.ok else chip("broken", "red"), report.message
        )

    @display(description="canonical JSON")
    def recorded(self, event: OrderEvent) -> Any:
        return format_html("<pre>{}</pre>", json.dumps(event.document, indent=2, ensure_ascii=False))
