"""The demo: people, accounts, capital and the paper exchange's login, so that a first order takes a minute.

Made through the same services as everything else, so the books balance and the trail is whole. Loading
it again changes nothing. Never together with real money (oms/checks.py).
"""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User

from compliance.models import Account, Membership
from compliance.services.accounts import open_account
from compliance.services.controls import set_limits
from compliance.services.memberships import grant_membership
from ledger.models import CapitalAccount
from ledger.services.capital import deposit
from ledger.services.portfolios import open_portfolio
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.staff.groups import ensure_groups
from orders.models import BrokerAccount, Routing
from orders.services.broker_accounts import add_broker_account
from orders.services.routing import change_routing

#: name → staff groups; the password is the name and `-demo`.
PEOPLE = {"trader": (), "operator": ("operator",), "officer": ("compliance",), "outsider": ()}
#: (account, its name, kind, PAN, portfolio, rupees, who trades it)
ACCOUNTS = (
    ("DEMO", "Demo Capital", Account.Kind.PROP, "", "DEMO-1", Decimal(5_000_000), "trader"),
    ("OTHER", "Somebody Else", Account.Kind.CLIENT, "AAAPZ9999Z", "OTHER-1", Decimal(1_000_000), "outsider"),
)
WHY = "Part of the demo"
BROKER, CLIENT, KEY, SECRET = "Paper exchange", "PX0001", "paper", "paper-secret"


def load() -> None:
    """Make the demo's rows where they are missing."""
    by: dict[str, Any] = {"reason": WHY, "user": None, "actor": SYSTEM, "at": now()}
    ensure_groups()
    people = {name: _person(name, groups) for name, groups in PEOPLE.items()}
    for code, name, kind, pan, portfolio_code, rupees, trader in ACCOUNTS:
        account = Account.objects.filter(code=code).first() or open_account(
            code=code, name=name, kind=kind, pan=pan, ucc=f"UCC-{code}", products=["CNC", "MIS", "NRML"], **by
        )
        if not account.memberships.filter(user=people[trader]).exists():
            grant_membership(account.pk, member=people[trader], role=Membership.Role.TRADER, **by)
        portfolio = CapitalAccount.objects.filter(code=portfolio_code).first() or open_portfolio(
            account.pk, code=portfolio_code, name=f"{name}, first portfolio", **by
        )
        deposit(portfolio, rupees, key=f"demo:{code}", **by | {"reason": "The demo's first capital"})
        _route(account, by)
    _limit(by)


def _person(name: str, groups: tuple[str, ...]) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create_user(name, password=f"{name}-demo", is_staff=bool(groups))
        user.groups.set(Group.objects.filter(name__in=groups))
    return user


def _route(account: Account, by: dict[str, Any]) -> None:
    """Every account trades through one login at the paper exchange, whose market never closes."""
    broker_account = BrokerAccount.objects.filter(name=BROKER).first()
    if broker_account is None:
        fields = {
            "name": BROKER, "kind": "PAPER", "trading_hours": BrokerAccount.Hours.ALWAYS,
            "client_id": CLIENT, "api_key": KEY, "api_secret": SECRET, "root_url": settings.PAPER_EXCHANGE_URL,
        }  # fmt: skip
        broker_account = add_broker_account(account.pk, fields=fields, **by)
    if broker_account.root_url != settings.PAPER_EXCHANGE_URL:  # `up` was given another --exchange-port
        BrokerAccount.objects.filter(pk=broker_account.pk).update(root_url=settings.PAPER_EXCHANGE_URL)
    if not Routing.objects.filter(account=account).exists():
        change_routing(account.pk, broker_account_id=broker_account.pk, **by)


def _limit(by: dict[str, Any]) -> None:
    demo = Account.objects.get(code="DEMO")
    if not demo.limits.exists():
        values = {"max_order_value": Decimal(2_500_000), "max_open_value": Decimal(10_000_000)}
        set_limits("ACCOUNT", account=demo, values=values, **by | {"reason": "The demo's limits"})
