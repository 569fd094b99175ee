"""From an empty database to a placed order, as an operator goes there: the opening checklist and its dialogs."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from compliance.models import Account, AlgoRegistration, OrderEvent
from compliance.selectors import account_events
from compliance.verification import verify_chain
from ledger.models import CapitalAccount, CapitalEntry
from oms import demo
from oms.tests.test_admin_actions import ACTIONS
from orders.models import BrokerAccount, Routing
from orders.tests.factories import place

WHY = "because a test says so"
ACCOUNT = {"code": "ACME", "name": "Acme", "kind": "CLIENT", "ucc": "AC01", "pan": "AAAPZ9999Z", "products": ["CNC"]}
BROKER = {
    "name": "Paper", "kind": "PAPER", "trading_hours": "ALWAYS", "root_url": "http://127.0.0.1:9", "client_id": "PX0001",
    "api_key": "paper", "api_secret": "paper-secret", "orders_per_second": 10, "orders_per_minute": 400,
    "orders_per_day": 5000, "modifications_per_order": 25, "other_calls_per_second": 10,
}  # fmt: skip
STEPS = ["Account", "Portfolio", "Broker account", "Route", "Member", "Deposit", "Broker login"]


def url(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def press(client: Client, address: str, **fields: Any) -> Any:
    """Submit a dialog; the answer."""
    return client.post(address, {"_form_submitted": "on", "reason": WHY, **fields}, headers={"HX-Request": "true"})


def done(client: Client, address: str, **fields: Any) -> None:
    """Submit a dialog that must be accepted."""
    answer = press(client, address, **fields)
    assert "HX-Redirect" in answer.headers, answer.context["form"].errors


def undone(client: Client) -> list[str]:
    return [step.title for step in client.get("/admin/").context["opening"] if not step.is_done]


@pytest.fixture
def desk(operator: User, client: Client) -> Client:
    client.force_login(operator)
    return client


def test_the_checklist_leads_from_nothing_to_a_placed_order(
    desk: Client, operator: User, sbin: Any, django_user_model: Any
) -> None:
    person = django_user_model.objects.create_user("newcomer")
    assert undone(desk) == STEPS
    done(desk, url(Account, "open_account"), **ACCOUNT)
    account = Account.objects.get(code="ACME")
    assert undone(desk) == STEPS[1:]
    done(desk, url(CapitalAccount, "open_portfolio"), account=account.pk, code="ACME-1", name="First")
    portfolio = account.portfolios.get()
    assert undone(desk) == STEPS[2:]
    done(desk, url(BrokerAccount, "add_broker_account"), account=account.pk, **BROKER)
    broker = BrokerAccount.objects.get()
    assert undone(desk) == STEPS[3:]
    done(desk, url(BrokerAccount, "route_account", broker.pk), account=account.pk)
    assert undone(desk) == STEPS[4:]
    done(desk, url(Account, "set_member", account.pk), member=person.pk, role="TRADER")
    assert undone(desk) == STEPS[5:]
    key = desk.get(url(CapitalAccount, "deposit", portfolio.pk)).context["form"]["key"].value()
    done(desk, url(CapitalAccount, "deposit", portfolio.pk), key=key, amount="100000.50")
    assert undone(desk) == STEPS[6:]
    assert press(desk, url(BrokerAccount, "login", broker.pk)).headers["HX-Redirect"].startswith("http://127.0.0.1:9/")

    order = place(user=person, account="ACME", quantity=1)
    assert (order.state, order.broker_account) == ("CREATED", broker)
    account.refresh_from_db()
    events = list(account_events(account.pk))
    assert verify_chain(events, head=account.event_hash).ok
    assert [event.event_type for event in events] == [
        "ACCOUNT_OPENED", "PORTFOLIO_OPENED", "BROKER_ACCOUNT_ADDED", "ROUTING_CHANGED", "MEMBERSHIP_GRANTED",
        "CAPITAL_DEPOSITED",
    ]  # fmt: skip
    assert {(event.actor_id, event.channel, event.data["reason"]) for event in events} == {
        (str(operator.pk), "ADMIN", WHY)
    }


def test_each_step_offers_its_dialog_and_only_to_those_who_may(
    desk: Client, officer: User, trader: User, operator: User
) -> None:
    Routing.objects.all().delete()
    steps = desk.get("/admin/").context["opening"]
    assert [step.title for step in steps if step.is_next] == ["Route"]
    following = next(step for step in steps if step.is_next)
    assert following.dialog in desk.get("/admin/").content.decode()
    assert desk.get(following.dialog).status_code == 200
    desk.force_login(officer)
    answer = desk.get("/admin/")
    assert not any(step.is_next for step in answer.context["opening"])
    assert desk.get(following.dialog).status_code == 403


def test_the_demo_needs_no_checklist_but_its_login(desk: Client) -> None:
    demo.load()
    assert undone(desk) == ["Broker login"]
    BrokerAccount.objects.update(session_opened_at="2026-11-20T04:00:00Z")
    assert desk.get("/admin/").context["opening"] == []


def test_loading_the_demo_again_changes_nothing(db: None) -> None:
    demo.load()
    events, entries = OrderEvent.objects.count(), CapitalEntry.objects.count()
    demo.load()
    assert (OrderEvent.objects.count(), CapitalEntry.objects.count()) == (events, entries)
    for account in Account.objects.all():
        assert verify_chain(list(account_events(account.pk)), head=account.event_hash).ok


def test_a_double_click_deposits_once(desk: Client, portfolio: CapitalAccount) -> None:
    address = url(CapitalAccount, "deposit", portfolio.pk)
    form = desk.get(address).context["form"]
    key = form["key"].value()
    assert desk.get(address).context["form"]["key"].value() != key, "another dialog is another deposit"
    for _ in range(2):
        done(desk, address, key=key, amount="250.25")
    portfolio.refresh_from_db()
    assert portfolio.free == Decimal("1000250.25")
    assert "This key was used" in press(desk, address, key=key, amount="9").content.decode()


@pytest.mark.parametrize("amount", ["", "0", "-1", "1.001", "lots", "1e30"])
def test_a_deposit_of_nonsense_is_refused_at_its_field(desk: Client, portfolio: CapitalAccount, amount: str) -> None:
    answer = press(desk, url(CapitalAccount, "deposit", portfolio.pk), key="0" * 32, amount=amount)
    assert "amount" in answer.context["form"].errors
    assert portfolio.entries.count() == 1


def test_a_wrong_field_is_named_and_what_was_typed_stays(desk: Client) -> None:
    answer = press(desk, url(Account, "open_account"), **ACCOUNT | {"pan": "WRONG", "code": "a b"})
    assert {"pan", "code"} <= set(answer.context["form"].errors)
    assert "WRONG" in answer.content.decode()
    assert not Account.objects.filter(kind="CLIENT").exists()


def test_changing_an_account_keeps_the_pan_that_is_not_typed_again(desk: Client, account: Account) -> None:
    Account.objects.filter(pk=account.pk).update(pan="AAAPZ9999Z")
    address = url(Account, "change_account", account.pk)
    dialog = desk.get(address)
    assert "AAAPZ" not in dialog.content.decode()
    assert dialog.context["form"]["is_active"].value() is True
    done(desk, address, name="Renamed", ucc="U1", products=["MIS"])
    account.refresh_from_db()
    assert (account.name, account.pan, account.products, account.is_active) == ("Renamed", "AAAPZ9999Z", ["MIS"], False)


def test_access_is_granted_changed_and_taken_away(desk: Client, account: Account, outsider: User) -> None:
    address = url(Account, "set_member", account.pk)
    for role, expected in (("VIEWER", ["VIEWER"]), ("TRADER", ["TRADER"]), ("NONE", [])):
        done(desk, address, member=outsider.pk, role=role)
        assert [*account.memberships.filter(user=outsider).values_list("role", flat=True)] == expected
    assert "is no member" in press(desk, address, member=outsider.pk, role="NONE").content.decode()


def test_an_algorithm_is_registered_and_suspended(desk: Client, account: Account) -> None:
    done(
        desk, url(AlgoRegistration, "register_algo"), account=account.pk, algo_id="A-1", name="X", category="WHITE_BOX"
    )
    algo = AlgoRegistration.objects.get()
    address = url(AlgoRegistration, "change_algo", algo.pk)
    assert desk.get(address).context["form"]["name"].value() == "X"
    done(desk, address, name="X", category="WHITE_BOX", status="SUSPENDED")
    algo.refresh_from_db()
    assert algo.status == "SUSPENDED"


def test_officers_set_up_nothing(client: Client, officer: User, account: Account, broker_account: Any) -> None:
    client.force_login(officer)
    for address in (
        url(Account, "open_account"), url(Account, "set_member", account.pk), url(Account, "change_account", account.pk),
        url(CapitalAccount, "open_portfolio"), url(CapitalAccount, "deposit", account.portfolios.get().pk),
        url(BrokerAccount, "add_broker_account"), url(BrokerAccount, "route_account", broker_account.pk),
        url(AlgoRegistration, "register_algo"),
    ):  # fmt: skip
        assert client.get(address).status_code == 403
        assert press(client, address, **ACCOUNT).status_code == 403
    text = client.get(url(Account, "change", account.pk)).content.decode()
    assert "Set limits" in text
    assert "Set who may act" not in text


def test_no_action_asks_the_database_for_its_permission_before_there_is_one() -> None:
    """unfold's system check looks dotted names up, which the first migration of an empty database does not survive."""
    assert [
        (page, name) for page, name in ACTIONS if any("." in p for p in getattr(page, name).allowed_permissions)
    ] == []
