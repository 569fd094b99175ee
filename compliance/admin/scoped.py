"""Which rows of the staff pages the person at the screen may see: those of the accounts that are theirs."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from compliance.selectors import COMPLIANCE, OPERATOR, accounts_visible_to, is_in
from oms.lib.users import User


def only_visible(queryset: "QuerySet[Any]", user: User, path: str = "account_id") -> "QuerySet[Any]":
    """Rows of the accounts that the user may see; the queryset as it is for those who see all."""
    if is_in(user, OPERATOR, COMPLIANCE):
        return queryset
    return queryset.filter(**{f"{path}__in": accounts_visible_to(user).values("pk")})


class AccountScoped:
    """Mixin of an admin class whose rows belong to accounts. `account_path` leads to the account's id."""

    account_path = "account_id"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        queryset: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return only_visible(queryset, request.user, self.account_path)
