"""The demo: people, accounts, capital and the paper exchange's login, so that a first order takes a minute.

Made through the same services as everything else, so the books balance and the trail is whole. Loading
it again changes nothing. Never together with real money (oms/checks.py).
"""

from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction

from compliance.models import Account, Membership
from compliance.services.controls import set_limits
from ledger.models import CapitalAccount
from ledger.services.capital import deposit
from oms.groups import ensure_groups
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.models import BrokerAccount, Routing

#: name → staff groups; the password is the name and `-demo`.
PEOPLE = {"trader": (), "operator": ("operator",), "officer": ("compliance",), "outsider": ()}
#: (account, its name, kind, portfolio, rupees, who trades it)
ACCOUNTS = (
    ("DEMO", "Demo Capital", Account.Kind.PROP, "DEMO-1", Decimal(5_000_000), "trader"),
    ("OTHER", "Somebody Else", Account.Kind.CLIENT, "OTHER-1", Decimal(1_000_000), "outsider"),
)
CLIENT, KEY, SECRET = "PX0001", "paper", "paper-secret"


def load() -> None:
    """Make the demo's rows where they are missing."""
    at = now()
    ensure_groups()
    people = {name: _person(name, groups) for name, groups in PEOPLE.items()}
    for code, name, kind, portfolio_code, rupees, trader in ACCOUNTS:
        portfolio = _account(code, name, kind, portfolio_code, people[trader])
        reason = "The demo's first capital"
        deposit(portfolio, rupees, key=f"demo:{code}", reason=reason, user=None, actor=SYSTEM, at=at)
    _route()
    _limit(at)


def _person(name: str, groups: tuple[str, ...]) -> User:
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create_user(name, password=f"{name}-demo", is_staff=bool(groups))
        user.groups.set(Group.objects.filter(name__in=groups))
    return user


@transaction.atomic
def _account(code: str, name: str, kind: str, portfolio_code: str, trader: User) -> CapitalAccount:
    account, _ = Account.objects.get_or_create(
        code=code, defaults={"name": name, "kind": kind, "ucc": f"UCC-{code}", "products": ["CNC", "MIS", "NRML"]}
    )
    Membership.objects.get_or_create(account=account, user=trader, defaults={"role": Membership.Role.TRADER})
    portfolio, _ = CapitalAccount.objects.get_or_create(
        code=portfolio_code, defaults={"account": account, "name": f"{name}, first portfolio"}
    )
    return portfolio


def _route() -> None:
    """Both accounts trade through one login at the paper exchange, whose market never closes."""
    demo = Account.objects.get(code="DEMO")
    broker_account, _ = BrokerAccount.objects.get_or_create(
        name="Paper exchange",
        defaults={
            "kind": BrokerAccount.Kind.PAPER, "trading_hours": BrokerAccount.Hours.ALWAYS, "client_id": CLIENT,
            "api_key": KEY, "api_secret": SECRET, "default_account": demo, "root_url": settings.PAPER_EXCHANGE_URL,
        },
    )  # fmt: skip
    if broker_account.root_url != settings.PAPER_EXCHANGE_URL:  # `up` was given another --exchange-port
        BrokerAccount.objects.filter(pk=broker_account.pk).update(root_url=settings.PAPER_EXCHANGE_URL)
    for account in Account.objects.filter(code__in=[code for code, *_ in ACCOUNTS]):
        Routing.objects.get_or_create(account=account, defaults={"broker_account": broker_account})


def _limit(at: datetime) -> None:
    demo = Account.objects.get(code="DEMO")
    if not demo.limits.exists():
        set_limits(
            "ACCOUNT", account=demo, user=None, actor=SYSTEM, at=at, reason="The demo's limits",
            values={"max_order_value": Decimal(2_500_000), "max_open_value": Decimal(10_000_000)},
        )  # fmt: skip
