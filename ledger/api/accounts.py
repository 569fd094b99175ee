"""GET /accounts: which accounts I have, and what I may do with them right now."""

from typing import TYPE_CHECKING

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from compliance.screening.facts import Limits
from compliance.screening.limits import strictest
from compliance.selectors import accounts_to_trade, accounts_visible_to, controls_of
from ledger.selectors import portfolios_visible_to
from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.pages import Page, PageQuery, page_of
from oms.lib.api.shapes import Shape
from oms.lib.api.views import ApiView
from oms.lib.api.wire import Document, json_response

if TYPE_CHECKING:
    from compliance.models import Account, KillSwitch


class LimitsDocument(Shape):
    """The strictest of house and account; absent means no limit. Values in rupees, quantities in units."""

    max_order_quantity = ExactDecimal(places=0, required=False)
    max_order_value = ExactDecimal(required=False)
    max_open_value = ExactDecimal(required=False)
    max_position_quantity = ExactDecimal(places=0, required=False)
    max_orders_per_second = ExactDecimal(places=0, required=False)
    duplicate_window_seconds = ExactDecimal(places=0, required=False)


class KillSwitchDocument(Shape):
    """ACTIVE: trade. REDUCING: only orders that close. HALTED: only cancellations."""

    mode = serializers.ChoiceField(["ACTIVE", "REDUCING", "HALTED"])
    scope = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)


class PortfolioDocument(Shape):
    portfolio_id = serializers.CharField()
    name = serializers.CharField()


class AccountDocument(Shape):
    account_id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    ucc = serializers.CharField(required=False)
    is_active = serializers.BooleanField()
    can_trade = serializers.BooleanField()
    products = serializers.ListField(child=serializers.CharField())
    limits = LimitsDocument()
    kill_switch = KillSwitchDocument()
    portfolios = PortfolioDocument(many=True)


class AccountPage(Page):
    content = AccountDocument(many=True)


class AccountsView(ApiView):
    @extend_schema(operation_id="listAccounts", tags=["Accounts"], parameters=[PageQuery], responses=AccountPage)
    def get(self, request: Request) -> HttpResponse:
        """My accounts with their portfolios, limits and kill switches."""
        query = PageQuery.read_query(request.query_params)
        accounts = accounts_visible_to(request.user).exclude(kind="HOUSE").order_by("code")
        return json_response(page_of(accounts, query, lambda page: _documents(page, request)))


def _documents(accounts: "list[Account]", request: Request) -> list[Document]:
    ids = [account.pk for account in accounts]
    controls = controls_of(ids)
    tradable = set(accounts_to_trade(request.user).filter(pk__in=ids).values_list("pk", flat=True))
    portfolios: dict[int, list[dict[str, str]]] = {pk: [] for pk in ids}
    for portfolio in portfolios_visible_to(request.user).filter(account__in=ids).order_by("pk"):
        portfolios[portfolio.account_id].append({"portfolioId": portfolio.code, "name": portfolio.name})
    return [
        {
            "accountId": account.code,
            "name": account.name,
            "kind": account.kind,
            **({"ucc": account.ucc} if account.ucc else {}),
            "isActive": account.is_active,
            "canTrade": account.pk in tradable,
            "products": account.products,
            "limits": _limits(strictest(controls.limits_on(account.pk, None))),
            "killSwitch": _kill_switch(controls.mode_of(account.pk, None)),
            "portfolios": portfolios[account.pk],
        }
        for account in accounts
    ]


def _limits(limits: Limits) -> Document:
    named = {
        "maxOrderQuantity": limits.order_quantity,
        "maxOrderValue": limits.order_value,
        "maxOpenValue": limits.open_value,
        "maxPositionQuantity": limits.position_quantity,
        "maxOrdersPerSecond": limits.orders_per_second,
        "duplicateWindowSeconds": limits.duplicate_window,
    }
    return {name: limit.value for name, limit in named.items() if limit is not None}


def _kill_switch(switch: "KillSwitch | None") -> dict[str, str]:
    if switch is None:
        return {"mode": "ACTIVE"}
    return {"mode": switch.mode, "scope": switch.scope, "reason": switch.reason}
