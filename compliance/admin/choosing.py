"""A dialog that begins with choosing a trading account, for the pages of every app."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget

from compliance.models import Account
from compliance.selectors import accounts_visible_to
from oms.lib.admin.actions import ReasonForm


class AccountChoice(forms.ModelChoiceField[Account]):
    """Accounts by code and name."""

    def label_from_instance(self, account: Account) -> str:
        return f"{account.code} · {account.name}"


class AccountForm(ReasonForm):
    """Which account, and why. `?account=` in the address chooses one beforehand, a lone account chooses itself."""

    field_order: tuple[str, ...] | None = ("_form_submitted", "account", "reason")
    account = AccountChoice(Account.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        accounts = accounts_visible_to(request.user).exclude(kind=Account.Kind.HOUSE).defer("pan").order_by("code")
        self.fields["account"].queryset = accounts
        first = list(accounts[:2])
        self.initial["account"] = request.GET.get("account") or (first[0].pk if len(first) == 1 else None)
