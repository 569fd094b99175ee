"""What a control is set on, and the dialogs that set one: the house, an account or an algorithm.

A dialog on the page of an account, algorithm or limit knows its target from that page; elsewhere the
address names it: `?account=`, `?algo=`, nothing for the house.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from compliance.models import Account, AlgoRegistration, RiskLimit, Scope
from oms.lib.admin.actions import ReasonForm
from oms.lib.errors import NotFound


@dataclass(frozen=True, slots=True)
class Target:
    """One scope: the house, an account or an algorithm."""

    scope: Scope
    account: Account | None = None
    algo: AlgoRegistration | None = None

    def __str__(self) -> str:
        if self.account is not None:
            return f"account {self.account.code} ({self.account.name})"
        return f"algorithm {self.algo} of {self.algo.account}" if self.algo is not None else "the whole house"

    @property
    def columns(self) -> dict[str, Any]:
        """As the control services and the models' columns name it."""
        return {"account": self.account, "algo": self.algo}

    @property
    def query(self) -> str:
        """As a dialog's address names it."""
        if self.account is not None:
            return f"?account={self.account.pk}"
        return f"?algo={self.algo.pk}" if self.algo is not None else ""


HOUSE = Target(Scope.HOUSE)
Finder = Callable[[HttpRequest, Any], Target]


def of_account(_request: HttpRequest, account_id: Any) -> Target:
    """Raises NotFound."""
    account = Account.objects.exclude(kind=Account.Kind.HOUSE).filter(pk=account_id).first()
    if account is None:
        raise NotFound("There is no such account.")
    return Target(Scope.ACCOUNT, account=account)


def of_algo(_request: HttpRequest, algo_id: Any) -> Target:
    """Raises NotFound."""
    algo = AlgoRegistration.objects.select_related("account").filter(pk=algo_id).first()
    if algo is None:
        raise NotFound("There is no such algorithm.")
    return Target(Scope.ALGO, algo=algo)


def of_limit(_request: HttpRequest, limit_id: Any) -> Target:
    """What an existing version of limits covers. Raises NotFound."""
    limit = RiskLimit.objects.select_related("account", "algo__account").filter(pk=limit_id).first()
    if limit is None:
        raise NotFound("There are no such limits.")
    return Target(Scope(limit.scope), limit.account, limit.algo)


def of_address(request: HttpRequest, _object_id: Any = None) -> Target:
    """What the address names. Raises NotFound."""
    account, algo = request.GET.get("account", ""), request.GET.get("algo", "")
    if not (account + algo).isdigit() and account + algo:
        raise NotFound("The address names no account or algorithm.")
    if account:
        return of_account(request, account)
    return of_algo(request, algo) if algo else HOUSE


class TargetForm(ReasonForm):
    """A dialog about one target, which stands above its fields. Subclasses say where the target comes from."""

    finder: Finder = staticmethod(of_address)

    def find(self) -> Target:
        """The target. Raises NotFound."""
        return type(self).finder(self.request, self.object_id)

    def get_before_template_context(self, request: HttpRequest, object_id: Any = None) -> dict[str, Any]:
        context = super().get_before_template_context(request, object_id)
        try:
            return context | {"heading": f"For {self.find()}"}
        except NotFound as missing:
            return context | {"errors": [missing.detail]}
