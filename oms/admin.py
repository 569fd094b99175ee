"""People and groups, for superusers: Django's own pages in the site's look, and a lost second factor."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from oms.lib.admin.actions import ReasonForm, service_action
from oms.lib.admin.formats import EMPTY, chip, moment, shown

for _model in (User, Group, EmailAddress, Authenticator):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(User)
class PersonAdmin(UserAdmin, ModelAdmin):
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
            object_id is None or Authenticator.objects.filter(user_id=object_id).exists()
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
