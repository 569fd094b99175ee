"""One page with every trading mode: the house, accounts, algorithms, and the button that changes it."""

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminRadioSelectWidget

from compliance.acting import acting
from compliance.admin.targets import HOUSE, Target, TargetForm, of_account, of_algo
from compliance.models import Account, AlgoRegistration, KillSwitch, Scope
from compliance.services.controls import set_kill_switch
from oms.lib.admin.actions import ReasonForm, service_action
from oms.lib.admin.records import RecordAdmin

MODE_TONES = {"ACTIVE": "green", "REDUCING": "amber", "HALTED": "red"}
MEANING = {
    "ACTIVE": "Active: orders pass, within the limits",
    "REDUCING": "Reducing only: orders must close a position",
    "HALTED": "Halted: no new orders. Cancels always pass",
}
MOST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """A scope with its switch; no switch means that it was never touched."""

    target: Target
    name: str
    switch: KillSwitch | None
    url: str

    @property
    def mode(self) -> str:
        return self.switch.mode if self.switch is not None else KillSwitch.Mode.ACTIVE


class ModeForm(TargetForm):
    """The new mode, with what it means, and why."""

    field_order = ("_form_submitted", "mode", "reason")
    mode = forms.ChoiceField(choices=list(MEANING.items()), widget=UnfoldAdminRadioSelectWidget)


class AccountModeForm(ModeForm):
    finder = staticmethod(of_account)


class AlgoModeForm(ModeForm):
    finder = staticmethod(of_algo)


def set_mode(request: HttpRequest, form: ReasonForm) -> str:
    """What the dialogs of all pages do."""
    assert isinstance(form, ModeForm)
    target, mode = form.find(), form.cleaned_data["mode"]
    reason = form.cleaned_data["reason"]
    set_kill_switch(target.scope, **target.columns, mode=mode, reason=reason, **acting(request))
    return f"The mode of {target} is now {mode}."


def may_set_mode(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("compliance.change_killswitch"))


@admin.register(KillSwitch)
class KillSwitchAdmin(RecordAdmin):
    actions_list = ("change_mode",)
    actions_list_hide_default = True

    def has_mode_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return may_set_mode(request)

    @service_action("Change the trading mode", permission="mode", form=ModeForm, icon="power_settings_new", danger=True)
    def change_mode(self, request: HttpRequest, form: ReasonForm) -> str:
        return set_mode(request, form)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Accounts and algorithms whose switch was ever thrown; with a search, those that it finds."""
        term = request.GET.get("q", "").strip()
        switches = {(s.scope, s.account_id or s.algo_id): s for s in KillSwitch.objects.select_related("changed_by")}
        url = reverse("admin:compliance_killswitch_change_mode")
        context = {
            **self.admin_site.each_context(request),
            "title": "Kill switches",
            "opts": self.opts,
            "term": term,
            "house": Row(HOUSE, "The house", switches.get((Scope.HOUSE, None)), url),
            "accounts": _accounts(switches, term, url),
            "algos": _algos(switches, term, url),
            "may_change": self.has_mode_permission(request),
            "most": MOST_ROWS,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/compliance/killswitches.html", context)


def _accounts(switches: dict[tuple[str, Any], KillSwitch], term: str, url: str) -> list[Row]:
    found = Account.objects.exclude(kind=Account.Kind.HOUSE).order_by("code")
    if term:
        found = found.filter(Q(code__icontains=term) | Q(name__icontains=term))
    rows = [
        Row(
            target := Target(Scope.ACCOUNT, account=a),
            f"{a.code} · {a.name}",
            switches.get((Scope.ACCOUNT, a.pk)),
            url + target.query,
        )
        for a in found[:MOST_ROWS]
    ]
    return _thrown_first(rows)


def _algos(switches: dict[tuple[str, Any], KillSwitch], term: str, url: str) -> list[Row]:
    found = AlgoRegistration.objects.select_related("account").order_by("algo_id")
    if term:
        found = found.filter(Q(algo_id__icontains=term) | Q(name__icontains=term))
    rows = [
        Row(
            target := Target(Scope.ALGO, algo=a),
            f"{a} · {a.name}",
            switches.get((Scope.ALGO, a.pk)),
            url + target.query,
        )
        for a in found[:MOST_ROWS]
    ]
    return _thrown_first(rows)


def _thrown_first(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.mode == KillSwitch.Mode.ACTIVE)
