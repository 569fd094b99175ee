"""What the admin pages of every app ask about the person at the screen: which rows, and acting as whom."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest

from compliance.selectors import COMPLIANCE, OPERATOR, accounts_visible_to, is_in
from oms.lib.actors import Actor, ActorType
from oms.lib.admin.actions import actor_of
from oms.lib.clock import now
from oms.lib.users import User


def staff_actor(request: HttpRequest) -> Actor:
    """The acting person: an officer if in the compliance group, else an operator."""
    officer = not is_in(request.user, OPERATOR) and is_in(request.user, COMPLIANCE)
    return actor_of(request, ActorType.OFFICER if officer else ActorType.OPERATOR)


def person(request: HttpRequest) -> AbstractBaseUser:
    """Who is at the screen; the admin lets nobody else in."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def acting(request: HttpRequest) -> dict[str, Any]:
    """Who acts and when, as every service wants it: `user`, `actor`, `at`."""
    return {"user": person(request), "actor": staff_actor(request), "at": now()}


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
