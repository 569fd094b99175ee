"""People and groups, for superusers, and lock-outs, for operators too: what helps after a lost phone."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from axes.utils import reset
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from oms.lib.admin.actions import ReasonForm, go, service_action
from oms.lib.admin.formats import EMPTY, chip, moment, shown
from oms.lib.admin.records import RecordAdmin, is_among

for _model in (*apps.get_app_config("axes").get_models(), *apps.get_app_config("token_blacklist").get_models(),
               User, Group, EmailAddress, Authenticator):  # fmt: skip
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "username",
        "get_full_name",
        "roles",
        shown("is_staff", "staff"),
        shown("is_active", "active"),
        "second_factor",
        moment("last_login", "last login"),
    )
    list_filter = ("is_staff", "is_active", "groups")
    list_filter_submit = True
    list_fullwidth = True
    actions_detail = ("forget_second_factor",)
    actions = None

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups", "authenticator_set")

    @display(description="groups")
    def roles(self, user: User) -> Any:
        if user.is_superuser:
            return chip("superuser", "violet")
        return ", ".join(group.name for group in user.groups.all()) or EMPTY

    @display(description="second factor")
    def second_factor(self, user: User) -> Any:
        factors = user.authenticator_set.all()  # type: ignore[attr-defined]
        enrolled = any(factor.type != Authenticator.Type.RECOVERY_CODES for factor in factors)
        return chip("enrolled", "green") if enrolled else chip("none", "amber" if user.is_staff else "grey")

    def has_forget_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.is_superuser) and (
            object_id is None or is_among(User.objects.exclude(authenticator=None), object_id)
        )

    @service_action(
        "Forget the second factor",
        permission="forget",
        text="For a lost phone: the person enrols a new one at the next login.",
        button="Forget it",
        icon="phonelink_erase",
        danger=True,
    )
    def forget_second_factor(self, request: HttpRequest, form: ReasonForm, object_id: str) -> str:
        user = User.objects.get(pk=object_id)
        Authenticator.objects.filter(user=user).delete()
        self.log_change(request, user, f"Second factor forgotten: {form.cleaned_data['reason']}")
        return f"{user.get_username()} enrols a new second factor at the next login."


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin):
    list_fullwidth = True
    actions = None


@admin.register(AccessAttempt)
class LockOutAdmin(RecordAdmin):
    """Failed logins per person and address; as many as AXES_FAILURE_LIMIT lock that pair out for a while."""

    list_display = (
        "username",
        "ip_address",
        "failures_since_start",
        moment("attempt_time", "last failure"),
        "path_info",
    )
    search_fields = ("username", "ip_address")
    ordering = ("-attempt_time",)
    sections = (
        (
            "Failed logins",
            ("username", "ip_address", "failures_since_start", "attempt_time", "user_agent", "path_info"),
        ),
    )
    actions_row = ("lift",)
    actions_detail = ("lift",)

    def has_lift_permission(self, request: HttpRequest, _object_id: Any = None) -> bool:
        return bool(request.user.has_perm("axes.change_accessattempt"))

    @service_action(
        "Lift the lock-out",
        permission="lift",
        text="The failed logins of this person from this address are forgotten.",
        icon="lock_open",
    )
    def lift(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        attempt = AccessAttempt.objects.get(pk=object_id)
        self.log_change(request, attempt, f"Lock-out lifted: {form.cleaned_data['reason']}")
        reset(ip=attempt.ip_address, username=attempt.username)
        messages.success(request, f"{attempt.username} may log in again from {attempt.ip_address}.")
        return go(request, reverse("admin:axes_accessattempt_changelist"))
