"""Trading accounts, who may act on them, and their registered algorithms."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from compliance.acting import acting
from compliance.admin.account_forms import (
    NO_ACCESS,
    AccountChangeForm,
    AlgoChangeForm,
    MemberForm,
    NewAccountForm,
    NewAlgoForm,
)
from compliance.admin.kill_switches import AccountModeForm, AlgoModeForm, may_set_mode, set_mode
from compliance.admin.limits import AccountLimitsForm, AlgoLimitsForm, may_set_limits, set_new_limits
from compliance.admin.scoped import AccountScoped
from compliance.models import Account, AlgoRegistration, Membership
from compliance.services.accounts import change_account, masked, open_account
from compliance.services.algos import change_algo, register_algo
from compliance.services.memberships import grant_membership, revoke_membership
from oms.lib.admin.actions import ReasonForm, go_to, holders_of, service_action
from oms.lib.admin.formats import EMPTY, chip, chips, shown
from oms.lib.admin.records import RecordAdmin

KIND_TONES = {"CLIENT": "blue", "PROP": "violet", "HOUSE": "grey"}
ALGO_TONES = {"ACTIVE": "green", "SUSPENDED": "red"}


@admin.register(Account)
class AccountAdmin(AccountScoped, RecordAdmin):
    account_path = "pk"
    list_display = (
        "code",
        "name",
        chips("kind", KIND_TONES),
        "ucc",
        "pan_masked",
        "products_text",
        shown("is_active", "active"),
    )
    list_filter = ("kind", "is_active")
    search_fields = ("code", "name", "ucc")
    search_help_text = "Code, name or UCC"
    ordering = ("code",)
    sections = (
        ("Client", ("code", "name", "kind", "ucc", "pan_masked", "products_text", "is_active", "created_at")),
        ("People", ("people",)),
        ("Proof", ("event_seq", "event_hash")),
    )

    actions_list = ("open_account",)
    actions_detail = ("set_member", "change_account", "set_mode", "set_limits")

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        people = Membership.objects.select_related("user").order_by("role", "user__username")
        return super().get_queryset(request).prefetch_related(Prefetch("memberships", people))

    @display(description="PAN")
    def pan_masked(self, account: Account) -> Any:
        return masked(account.pan) or EMPTY

    @display(description="products")
    def products_text(self, account: Account) -> Any:
        return format_html_join(" ", "{}", ((chip(p, "grey"),) for p in account.products)) or EMPTY

    @display(description="who may act")
    def people(self, account: Account) -> Any:
        rows = [
            (m.user, chip(m.role, "blue" if m.role == Membership.Role.TRADER else "grey"))
            for m in account.memberships.all()
        ]
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{} {}</li>", rows)) if rows else EMPTY

    has_open_permission = holders_of("compliance.add_account")
    has_manage_permission = holders_of("compliance.change_account")
    has_member_permission = holders_of("compliance.change_membership")

    @service_action("Open an account", permission="open", form=NewAccountForm, icon="add")
    def open_account(self, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        account = open_account(**form.values(), **acting(request))
        return go_to(request, account, f"Account {account} is open. Next: a portfolio, and a route to a broker.")

    @service_action(
        "Change the account",
        permission="manage",
        form=AccountChangeForm,
        button="Change",
        icon="edit",
    )
    def change_account(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        changes = form.values()
        reason, pan = changes.pop("reason"), changes.pop("pan")
        changes |= {"pan": pan.upper()} if pan else {}
        return f"{change_account(int(object_id), changes=changes, reason=reason, **acting(request))}: changed."

    @service_action("Set who may act", permission="member", form=MemberForm, button="Set", icon="group_add")
    def set_member(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        member, role, reason = (form.cleaned_data[name] for name in ("member", "role", "reason"))
        if role == NO_ACCESS:
            revoke_membership(int(object_id), member=member, reason=reason, **acting(request))
            return f"{member} has no access any more."
        grant_membership(int(object_id), member=member, role=role, reason=reason, **acting(request))
        return f"{member} is {role} now."

    def has_mode_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return may_set_mode(request)

    def has_limits_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return may_set_limits(request)

    @service_action("Change the trading mode", permission="mode", form=AccountModeForm, icon="power_settings_new")
    def set_mode(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        return set_mode(request, form)

    @service_action("Set limits", permission="limits", form=AccountLimitsForm, icon="speed")
    def set_limits(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        return set_new_limits(request, form)


@admin.register(AlgoRegistration)
class AlgoRegistrationAdmin(AccountScoped, RecordAdmin):
    list_display = (
        "algo_id", "name", "version", "account", shown("category"), "vendor", chips("status", ALGO_TONES),
    )  # fmt: skip
    list_select_related = ("account",)
    list_filter = ("status", "category")
    search_fields = ("algo_id", "name", "vendor")
    search_help_text = "Algo id, name or vendor"
    ordering = ("algo_id",)
    sections = (("Algorithm", ("account", "algo_id", "name", "version", "category", "vendor", "status")),)
    actions_list = ("register_algo",)
    actions_detail = ("change_algo", "set_mode", "set_limits")

    has_register_permission = holders_of("compliance.add_algoregistration")
    has_manage_permission = holders_of("compliance.change_algoregistration")

    @service_action("Register an algorithm", permission="register", form=NewAlgoForm, icon="add")
    def register_algo(self, request: HttpRequest, form: ReasonForm) -> HttpResponse:
        values = form.values()
        algo = register_algo(values.pop("account").pk, **values, **acting(request))
        return go_to(request, algo, f"{algo} is registered and may send orders.")

    @service_action(
        "Change the registration",
        permission="manage",
        form=AlgoChangeForm,
        button="Change",
        icon="edit",
    )
    def change_algo(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        changes = form.values()
        reason = changes.pop("reason")
        return f"{change_algo(int(object_id), changes=changes, reason=reason, **acting(request))}: changed."

    def has_mode_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return may_set_mode(request)

    def has_limits_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return may_set_limits(request)

    @service_action("Change the trading mode", permission="mode", form=AlgoModeForm, icon="power_settings_new")
    def set_mode(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        return set_mode(request, form)

    @service_action("Set limits", permission="limits", form=AlgoLimitsForm, icon="speed")
    def set_limits(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        return set_new_limits(request, form)
