"""Risk limits by version. A change is a new version with a reason; what was in force stays readable for ever."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, PositiveIntegerField, Q, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget

from compliance.acting import acting
from compliance.admin.targets import Target, TargetForm, of_account, of_algo, of_limit
from compliance.models import RiskLimit, Scope
from compliance.services.controls import set_limits
from oms.lib.admin.actions import ReasonForm, service_action
from oms.lib.admin.filters import OpenOnly
from oms.lib.admin.formats import chip, clipped, moment, money, quantity, shown
from oms.lib.admin.records import RecordAdmin
from oms.lib.errors import NotFound

VALUES = (
    "max_order_quantity", "max_order_value", "max_open_value", "max_position_quantity", "max_orders_per_second",
    "duplicate_window_seconds",
)  # fmt: skip
LATER = RiskLimit.objects.filter(
    Q(account=OuterRef("account")) | Q(account=None, scope__in=["HOUSE", "ALGO"]),
    Q(algo=OuterRef("algo")) | Q(algo=None, scope__in=["HOUSE", "ACCOUNT"]),
    scope=OuterRef("scope"),
    version__gt=OuterRef("version"),
)


def current(target: Target) -> RiskLimit | None:
    """The version in force of one scope."""
    return RiskLimit.objects.filter(scope=target.scope, **target.columns).order_by("-version").first()


class InForce(OpenOnly):
    """Versions in force, or all that ever were."""

    title = "versions"

    def lookups(self, _request: HttpRequest, _model_admin: Any) -> list[tuple[str, str]]:
        return [("closed", "Superseded"), ("all", "All")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        first, *rest = super().choices(changelist)
        yield {**first, "display": "In force"}
        yield from rest

    def queryset(self, _request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() == "all":
            return queryset
        return queryset.filter(Exists(LATER)) if self.value() == "closed" else queryset.filter(~Exists(LATER))


class LimitsForm(TargetForm):
    """All limits of one scope: empty means that this scope sets none. Begins with what is in force."""

    field_order = ("_form_submitted", *VALUES, "reason")

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        for name in VALUES:
            column = RiskLimit._meta.get_field(name)
            whole = isinstance(column, PositiveIntegerField)
            widget = UnfoldAdminIntegerFieldWidget() if whole else UnfoldAdminDecimalFieldWidget()
            self.fields[name] = column.formfield(widget=widget, min_value=0, required=False)  # type: ignore[union-attr]
        self.order_fields(self.field_order)
        try:
            before = current(self.find())
        except NotFound:
            return  # said above the fields
        self.initial = {name: getattr(before, name) for name in VALUES} if before else {}


class NextLimitsForm(LimitsForm):
    finder = staticmethod(of_limit)


class AccountLimitsForm(LimitsForm):
    finder = staticmethod(of_account)


class AlgoLimitsForm(LimitsForm):
    finder = staticmethod(of_algo)


def set_new_limits(request: HttpRequest, form: ReasonForm) -> str:
    """What the dialogs of all pages do."""
    assert isinstance(form, LimitsForm)
    target = form.find()
    limit = set_limits(
        target.scope, **target.columns, values={name: form.cleaned_data[name] for name in VALUES},
        reason=form.cleaned_data["reason"], **acting(request),
    )  # fmt: skip
    return f"Version {limit.version} of the limits of {target} is in force."


def may_set_limits(request: HttpRequest) -> bool:
    return bool(request.user.has_perm("compliance.add_risklimit"))


@admin.register(RiskLimit)
class RiskLimitAdmin(RecordAdmin):
    list_display = (
        "covers", quantity("max_order_quantity", "order quantity"), money("max_order_value", "order value"),
        money("max_open_value", "open value"), quantity("max_position_quantity", "position"),
        shown("max_orders_per_second", "orders/s"), shown("duplicate_window_seconds", "duplicates (s)"),
        moment("created_at", "since"), clipped("reason"),
    )  # fmt: skip
    list_select_related = ("account", "algo", "created_by")
    list_filter = (InForce, "scope")
    list_filter_sheet = False
    ordering = ("-scope", "account__code", "algo__algo_id", "-version")
    sections = (
        ("Scope", ("covers", "version", "created_at", "created_by", "reason")),
        ("Limits", VALUES),
    )
    actions_list = ("new_version",)
    actions_row = ("next_version",)
    actions_detail = ("next_version",)

    def has_set_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return may_set_limits(request)

    @display(description="covers")
    def covers(self, limit: RiskLimit) -> Any:
        tone = "violet" if limit.scope == Scope.HOUSE else "blue"
        return chip(f"{limit.account or limit.algo or 'House'} v{limit.version}", tone)

    @service_action("Set limits of the house", permission="set", form=LimitsForm, button="Set", icon="speed")
    def new_version(self, request: HttpRequest, form: ReasonForm) -> str:
        return set_new_limits(request, form)

    @service_action("Set new limits", permission="set", form=NextLimitsForm, button="Set", icon="speed")
    def next_version(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        return set_new_limits(request, form)
