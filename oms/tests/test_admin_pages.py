"""Every page of the admin site, as each kind of person meets it."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import DjangoAssertNumQueries
from time_machine import TimeMachineFixture

from compliance.models import Alert, KillSwitch, OrderEvent
from compliance.services.alerts import raise_alert
from oms.lib.admin.records import RecordAdmin
from oms.lib.clock import IST, now
from orders.models import BrokerMessage, Execution, Order
from orders.tests.factories import place, see, send, trade
from orders.types import BrokerStatus, Unconfirmed

OURS = [
    model
    for model, page in admin.site._registry.items()
    if isinstance(page, RecordAdmin) and model._meta.app_label in {"orders", "ledger", "compliance"}
]
DASHBOARD_QUERIES = 16
ORDER_PAGE_QUERIES = 14
LIST_QUERIES = 10


@pytest.fixture
def trading(db: None, trader: Any, sbin: Any, algo: Any) -> Order:
    """A filled order, one of unknown fate, a refused one, an alert and a thrown switch."""
    filled = send(place(user=trader))
    filled = see(filled, BrokerStatus.COMPLETE, [trade(filled, 1, 10)])
    send(place(user=trader), Unconfirmed("time-out"))
    place(user=trader, price=5000)
    raise_alert(key="k", kind="TEST", summary="Look at this", at=now(), account_id=filled.account_id)
    KillSwitch.objects.create(scope="HOUSE", mode="REDUCING", reason="Too fast", changed_at=now())
    return filled


@pytest.fixture
def algo(account: Any) -> Any:
    return account.algos.create(algo_id="A-1", name="Momentum")


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password="root")


def page_of(model: type[Model], name: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
@pytest.mark.parametrize("person", ["operator", "officer", "root"])
def test_staff_open_every_list_and_every_detail(
    person: str, model: type[Model], trading: Order, client: Client, request: pytest.FixtureRequest
) -> None:
    client.force_login(request.getfixturevalue(person))
    assert client.get(page_of(model)).status_code == 200
    row = model._default_manager.first()
    if row is not None:
        assert client.get(page_of(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_nothing_recorded_can_be_added_changed_or_deleted(
    model: type[Model], trading: Order, root: User, client: Client
) -> None:
    client.force_login(root)
    row = model._default_manager.first()
    assert client.post(page_of(model, "add"), {}).status_code == 403
    if row is not None:
        assert client.post(page_of(model, "change", row.pk), {"reason": "x"}).status_code == 403
        assert client.post(page_of(model, "delete", row.pk), {"post": "yes"}).status_code == 403
        assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model._meta.label)
@pytest.mark.parametrize("pk", ["nonsense", "0", "00000000-0000-0000-0000-000000000000"])
def test_an_address_of_nothing_leads_back_and_is_no_error(
    model: type[Model], pk: str, trading: Order, root: User, client: Client
) -> None:
    client.force_login(root)
    assert client.get(page_of(model, "change", pk)).status_code == 302


def test_traders_are_turned_away(trader: User, client: Client) -> None:
    client.force_login(trader)
    assert client.get("/admin/", follow=True).status_code == 403


def test_visitors_are_sent_to_the_login_page(db: None, client: Client) -> None:
    answer = client.get("/admin/orders/order/", follow=True)
    assert answer.redirect_chain[-1][0].startswith("/auth/login/")
    assert b"Log in" in answer.content


def test_staff_of_no_group_see_only_their_own_accounts(trading: Order, outsider: User, client: Client) -> None:
    outsider.is_staff = True
    outsider.save()
    outsider.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(outsider)
    for model in (Order, Execution, BrokerMessage, OrderEvent, Alert):
        row = model._default_manager.filter(
            **({"account_id": trading.account_id} if model is OrderEvent else {})
        ).first()
        assert row is not None
        assert client.get(page_of(model, "change", row.pk)).status_code == 302, model
    assert trading.symbol not in client.get(page_of(Order)).content.decode()
    assert "Look at this" not in client.get("/admin/").content.decode()


def test_the_live_page_shows_what_needs_a_person(
    trading: Order, operator: User, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    unknown = Order.objects.get(state="UNKNOWN")
    Order.objects.filter(pk=unknown.pk).update(sent_at=now().replace(year=2026, month=1))
    client.force_login(operator)
    with django_assert_max_num_queries(DASHBOARD_QUERIES):
        answer = client.get("/admin/")
    figures = {figure["label"]: figure["value"] for figure in answer.context["figures"]}
    assert figures == {
        "Orders today": 3, "Working": 0, "Filled": 1, "Rejected": 1, "Stuck": 1, "Open alerts": 1,
    }  # fmt: skip
    assert [order.pk for order in answer.context["stuck"]] == [unknown.pk]
    text = answer.content.decode()
    assert "Look at this" in text
    assert "Too fast" in text
    assert sum(bucket["amount"] for bucket in answer.context["buckets"]) == answer.context["capital"]


def test_a_menu_item_counts_what_is_open_and_nothing_else(operator: User, client: Client) -> None:
    client.force_login(operator)
    page = reverse("admin:orders_order_changelist")
    assert "oms-count" not in client.get(page).content.decode()
    raise_alert(key="x", kind="TEST", summary="x", at=now())
    assert '<span class="oms-count">1</span>' in client.get(page).content.decode()


def test_the_live_page_says_what_happens_next(operator: User, client: Client, time_machine: TimeMachineFixture) -> None:
    """On a holiday: stocks trade again the day after, commodities this evening."""
    time_machine.move_to(datetime(2026, 11, 24, 12, tzinfo=IST), tick=False)
    client.force_login(operator)
    coming = [
        (f"{event.at.astimezone(IST):%d %H:%M}", event.what, exchanges)
        for event, exchanges in client.get("/admin/").context["coming"]
    ]
    assert coming == [
        ("24 17:00", "OPEN", "MCX"),
        ("25 09:00", "PRE_OPEN", "NSE, BSE"),
        ("25 09:00", "OPEN", "CDS, BCD"),
        ("25 09:15", "OPEN", "NFO, BFO"),
    ]


def test_the_live_page_costs_the_same_however_much_is_stuck(
    trading: Order, trader: User, operator: User, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    KillSwitch.objects.all().delete()
    for _ in range(5):
        send(place(user=trader), Unconfirmed("time-out"))
    Order.objects.filter(state="UNKNOWN").update(sent_at=now().replace(year=2026, month=1))
    client.force_login(operator)
    with django_assert_max_num_queries(DASHBOARD_QUERIES):
        assert len(client.get("/admin/").context["stuck"]) == 6


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_lists_cost_a_fixed_number_of_queries(
    model: type[Model],
    trading: Order,
    operator: User,
    client: Client,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(operator)
    with django_assert_max_num_queries(LIST_QUERIES):
        assert client.get(page_of(model)).status_code == 200


def test_an_order_page_tells_its_whole_story(
    trading: Order, officer: User, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(officer)
    with django_assert_max_num_queries(ORDER_PAGE_QUERIES):
        text = client.get(page_of(Order, "change", trading.pk)).content.decode()
    assert "Chain verified" in text
    assert "10 at ₹1,000.00" in text
    assert "₹10,000.00" in text
    assert trading.tag in text
    assert " UTC" in text
    assert "Cancel the order" not in text


def test_a_cut_chain_is_shown_as_broken(trading: Order, officer: User, client: Client) -> None:
    Order.objects.filter(pk=trading.pk).update(event_hash=b"\x01" * 32)
    client.force_login(officer)
    text = client.get(page_of(Order, "change", trading.pk)).content.decode()
    assert "Chain broken at event" in text
    assert "Chain verified" not in text


def test_secrets_and_whole_pans_never_reach_the_browser(
    trading: Order, account: Any, broker_account: Any, root: User, client: Client
) -> None:
    account.pan = "ABCPD1234F"
    account.save(update_fields=["pan"])
    client.force_login(root)
    pages = [
        page_of(type(account)), page_of(type(account), "change", account.pk),
        page_of(type(broker_account)), page_of(type(broker_account), "change", broker_account.pk),
        f"{page_of(type(broker_account), 'change', broker_account.pk)}".replace("change/", "change_credentials/"),
    ]  # fmt: skip
    text = "".join(client.get(page).content.decode() for page in pages)
    assert "ABCPD" not in text
    assert "234F" in text
    assert "paper-secret" not in text
    assert "set, never shown" in text
