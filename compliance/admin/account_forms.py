"""The dialogs of accounts and algorithms: what they ask for. What comes of it is the services'."""

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from compliance.admin.choosing import AccountForm
from compliance.models import Account, AlgoRegistration, Membership
from compliance.products import ProductCode
from compliance.services import accounts, algos
from oms.lib.admin.actions import ReasonForm
from oms.lib.admin.columns import column_field

NO_ACCESS = "NONE"
ROLES = [
    (Membership.Role.TRADER, "Trader: sends and cancels orders"),
    (Membership.Role.VIEWER, "Viewer: looks only"),
    (NO_ACCESS, "No access"),
]


def _products() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        choices=[(code, code) for code in ProductCode.values], widget=UnfoldAdminCheckboxSelectMultipleWidget
    )


class NewAccountForm(ReasonForm):
    field_order = ("_form_submitted", "code", "name", "kind", "ucc", "pan", "products", "reason")
    code = column_field(Account, "code")
    name = column_field(Account, "name")
    kind = forms.ChoiceField(
        choices=[choice for choice in Account.Kind.choices if choice[0] != Account.Kind.HOUSE],
        widget=UnfoldAdminSelectWidget,
    )
    ucc = column_field(Account, "ucc")
    pan = column_field(Account, "pan", help_text="Stored encrypted. A client's account needs it.")
    products = _products()


class AccountChangeForm(ReasonForm):
    """Begins with what is known, but for the PAN, which is never sent to the browser."""

    field_order = ("_form_submitted", "name", "ucc", "pan", "products", "is_active", "reason")
    name = column_field(Account, "name")
    ucc = column_field(Account, "ucc")
    pan = column_field(Account, "pan", help_text="Empty: stays as it is.")
    products = _products()
    is_active = forms.BooleanField(
        label="Active", required=False, widget=UnfoldBooleanSwitchWidget, help_text="Off: no new orders."
    )

    def __init__(self, request: HttpRequest, object_id: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        known = Account.objects.filter(pk=object_id).values(*(set(accounts.CHANGEABLE) - {"pan"})).first()
        self.initial = known or {}


class MemberForm(ReasonForm):
    field_order = ("_form_submitted", "member", "role", "reason")
    member = forms.ModelChoiceField(
        get_user_model().objects.filter(is_active=True).order_by("username"),
        label="Person",
        widget=UnfoldAdminSelectWidget,
        help_text="A superuser adds people under Users.",
    )
    role = forms.ChoiceField(choices=ROLES, widget=UnfoldAdminSelectWidget)


class NewAlgoForm(AccountForm):
    field_order = ("_form_submitted", "account", "algo_id", "name", "version", "category", "vendor", "reason")
    algo_id = column_field(AlgoRegistration, "algo_id")
    name = column_field(AlgoRegistration, "name")
    version = column_field(AlgoRegistration, "version")
    category = column_field(AlgoRegistration, "category")
    vendor = column_field(AlgoRegistration, "vendor")


class AlgoChangeForm(ReasonForm):
    field_order = ("_form_submitted", "name", "version", "category", "vendor", "status", "reason")
    name = column_field(AlgoRegistration, "name")
    version = column_field(AlgoRegistration, "version")
    category = column_field(AlgoRegistration, "category")
    vendor = column_field(AlgoRegistration, "vendor")
    status = column_field(AlgoRegistration, "status")

    def __init__(self, request: HttpRequest, object_id: Any = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        self.initial = AlgoRegistration.objects.filter(pk=object_id).values(*algos.CHANGEABLE).first() or {}
