"""Portfolios with their buckets, and the entries that moved the money. Shown, never edited: services post."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from compliance.acting import acting
from compliance.admin.alerts import order_link
from compliance.admin.choosing import AccountForm
from compliance.admin.scoped import AccountScoped
from ledger.models import CapitalAccount, CapitalEntry
from ledger.services.capital import deposit
from ledger.services.portfolios import open_portfolio
from oms.lib.admin.actions import ReasonForm, go_to, holders_of, service_action
from oms.lib.admin.columns import column_field
from oms.lib.admin.filters import IndianDays
from oms.lib.admin.formats import chips, moment, money, rupees
from oms.lib.admin.records import LogAdmin, RecordAdmin, find_uuid
from oms.lib.ids import new_id

KIND_TONES = {
    "DEPOSIT": "green", "WITHDRAW": "amber", "RESERVE": "violet", "ALLOCATE": "blue", "RELEASE": "grey",
    "FAIL": "rose", "REALISE": "green", "CHARGE": "amber", "ADJUST": "rose",
}  # fmt: skip
STATUS_TONES = {"PENDING": "violet", "COMMITTED": "green", "FAILED": "rose", "RECONCILING": "amber"}
BUCKETS = ("free", "reserved", "allocated")
LATEST_ENTRIES = 20


def bucket_shares(free: Decimal, reserved: Decimal, allocated: Decimal) -> list[dict[str, Any]]:
    """The three buckets with their share of the whole in percent, for a bar. An overdrawn bucket has no width."""
    amounts = dict(zip(BUCKETS, (free, reserved, allocated), strict=True))
    whole = sum((max(a, Decimal(0)) for a in amounts.values()), Decimal(0)) or Decimal(1)
    return [
        {"name": name, "amount": amount, "percent": float(round(100 * max(amount, Decimal(0)) / whole, 2))}
        for name, amount in amounts.items()
    ]


class NewPortfolioForm(AccountForm):
    field_order = ("_form_submitted", "account", "code", "name", "reason")
    code = column_field(CapitalAccount, "code")
    name = column_field(CapitalAccount, "name")


class DepositForm(ReasonForm):
    """Rupees, and a key made when the dialog opened, so that a second click posts nothing."""

    field_order = ("_form_submitted", "key", "amount", "reason")
    key = forms.UUIDField(widget=forms.HiddenInput, initial=new_id)
    amount = forms.DecimalField(
        label="Amount (₹)",
        max_digits=20,
        decimal_places=2,
        min_value=Decimal("0.01"),
        widget=UnfoldAdminDecimalFieldWidget,
    )


@admin.register(CapitalAccount)
class CapitalAccountAdmin(AccountScoped, RecordAdmin):
    list_display = ("code", "name", "account", money("free"), money("reserved"), money("allocated"), "bar")
    list_select_related = ("account",)
    search_fields = ("code", "name", "account__code")
    search_help_text = "Code, name or account"
    ordering = ("code",)
    change_form_template = "admin/ledger/capitalaccount.html"
    sections = (("Portfolio", ("code", "name", "account", "entry_seq", "created_at")),)
    actions_list = ("open_portfolio",)
    actions_detail = ("deposit",)

    has_open_permission = holders_of("ledger.add_capitalaccount")
    has_deposit_permission = holders_of("ledger.add_capitalentry")

    @service_action("Open a portfolio", permission="open", form=NewPortfolioForm, icon="add")
    def open_portfolio(self, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        values = form.values()
        portfolio = open_portfolio(values.pop("account").pk, **values, **acting(request))
        return go_to(request, portfolio, f"Portfolio {portfolio} is open, with nothing in it yet.")

    @service_action("Deposit", permission="deposit", form=DepositForm, icon="payments")
    def deposit(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        portfolio = CapitalAccount.objects.select_related("account").get(pk=object_id)
        values = form.values()
        entry = deposit(portfolio, values["amount"], key=str(values["key"]), reason=values["reason"], **acting(request))
        return f"{rupees(entry.amount)} are in {portfolio}: {rupees(entry.free_after)} free."

    @display(description="buckets")
    def bar(self, portfolio: CapitalAccount) -> Any:
        shares = bucket_shares(portfolio.free, portfolio.reserved, portfolio.allocated)
        return format_html(
            '<span class="oms-bar" title="free {}, reserved {}, allocated {}">'
            '<i class="oms-free" style="width:{}%"></i><i class="oms-reserved" style="width:{}%"></i>'
            '<i class="oms-allocated" style="width:{}%"></i></span>',
            *(rupees(s["amount"]) for s in shares),
            *(s["percent"] for s in shares),
        )

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        portfolio = kwargs["obj"]
        context["buckets"] = bucket_shares(portfolio.free, portfolio.reserved, portfolio.allocated)
        context["total"] = portfolio.free + portfolio.reserved + portfolio.allocated
        context["entries"] = portfolio.entries.order_by("-seq")[:LATEST_ENTRIES]
        context["entries_url"] = (
            f"{reverse('admin:ledger_capitalentry_changelist')}?capital_account__id__exact={portfolio.pk}"
        )
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(CapitalEntry)
class CapitalEntryAdmin(AccountScoped, LogAdmin):
    list_display = (
        moment("created_at", "posted", precise=True), chips("kind", KIND_TONES), money("amount"), "movement",
        "capital_account", chips("status", STATUS_TONES), "order", money("free_after"), money("reserved_after"),
        money("allocated_after"),
    )  # fmt: skip
    list_display_links = ("col_kind",)
    list_select_related = ("capital_account",)
    list_filter = (
        ("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter),
        ("capital_account", AutocompleteSelectFilter), ("created_at", IndianDays),
    )  # fmt: skip
    search_fields = ("key",)
    search_help_text = "Order id, entry id or key"
    sections = (
        ("Movement", ("kind", "status", "amount", "movement", "capital_account", "seq", "created_at")),
        ("Balances after", ("free_after", "reserved_after", "allocated_after")),
        ("Why", ("order", "execution_id", "reserve_id", "reason", "actor", "key")),
    )

    def find(self, _request: HttpRequest, queryset: "QuerySet[Any]", term: str) -> "QuerySet[Any]":
        return find_uuid(queryset, term, ("order_id", "id"), key=term)

    @display(description="from → to")
    def movement(self, entry: CapitalEntry) -> Any:
        return format_html('<span class="oms-nowrap">{} → {}</span>', entry.debit.lower(), entry.credit.lower())

    @display(description="order")
    def order(self, entry: CapitalEntry) -> Any:
        return order_link(entry.order_id)
