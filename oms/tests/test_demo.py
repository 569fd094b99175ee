"""The demo: everybody it names can log in and do what they are for, and it is made by the same services as all else."""

from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.test import RequestFactory

from compliance.models import Account, OrderEvent
from compliance.selectors import account_events, accounts_to_trade, accounts_visible_to
from compliance.verification import verify_chain
from ledger.models import CapitalAccount
from ledger.selectors import trial_balance
from oms import demo
from orders.models import BrokerAccount, Routing
from orders.tests.factories import place

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _loaded(db: None) -> None:
    demo.load()


def person(name: str) -> Any:
    """Logged in with the password that the welcome prints."""
    user = authenticate(RequestFactory().post("/"), username=name, password=f"{name}-demo")
    assert user is not None, name
    return user


@pytest.mark.parametrize(
    ("name", "sees", "trades", "is_staff"),
    [
        ("trader", {"DEMO"}, {"DEMO"}, False), ("outsider", {"OTHER"}, {"OTHER"}, False),
        ("operator", {"DEMO", "OTHER"}, {"DEMO", "OTHER"}, True), ("officer", {"DEMO", "OTHER"}, set(), True),
    ],
)  # fmt: skip
def test_everybody_is_who_they_are_for(name: str, sees: set[str], trades: set[str], is_staff: bool) -> None:
    user = person(name)
    for readable, codes in ((accounts_visible_to(user), sees), (accounts_to_trade(user), trades)):
        assert set(readable.exclude(kind="HOUSE").values_list("code", flat=True)) == codes
    assert user.is_staff is is_staff
    assert not user.is_superuser


def test_a_first_order_is_accepted(sbin: Any) -> None:
    order = place(user=person("trader"))
    assert (order.state, order.account.code, order.broker_account.name) == ("CREATED", "DEMO", demo.BROKER)


def test_the_books_balance_and_every_chain_is_whole() -> None:
    assert trial_balance() == []
    free = dict(CapitalAccount.objects.values_list("code", "free"))
    assert free == {portfolio: rupees for _, _, _, _, portfolio, rupees, _ in demo.ACCOUNTS}
    for account in Account.objects.all():
        assert verify_chain(account_events(account.pk), head=account.event_hash).ok
    said = [event.data.get("reason", "") for event in OrderEvent.objects.all()]
    assert all("demo" in reason.lower() for reason in said), "nobody takes it for something that happened"


def test_one_login_at_the_paper_exchange_serves_all_and_never_closes() -> None:
    broker = BrokerAccount.objects.get()
    assert (broker.kind, broker.trading_hours) == ("PAPER", "ALWAYS")
    assert Routing.objects.filter(broker_account=broker).count() == len(demo.ACCOUNTS)


def test_an_exchange_at_another_address_is_followed(settings: Any) -> None:
    settings.PAPER_EXCHANGE_URL = "http://127.0.0.1:9999"
    events = OrderEvent.objects.count()
    demo.load()
    assert BrokerAccount.objects.get().root_url == "http://127.0.0.1:9999"
    assert OrderEvent.objects.count() == events


def test_a_role_that_somebody_changed_is_not_put_back() -> None:
    account = Account.objects.get(code="DEMO")
    user = person("trader")
    account.memberships.filter(user=user).update(role="VIEWER")
    call_command("demo", verbosity=0)
    assert account.memberships.get(user=user).role == "VIEWER"
    assert account.limits.count() == 1
