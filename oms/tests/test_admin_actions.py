"""What the buttons do: nothing on GET, nothing without a reason, one service call otherwise, and only for those allowed."""

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse

from compliance.models import Account, Alert, KillSwitch, OrderEvent, RiskLimit
from compliance.services.alerts import raise_alert
from oms.lib.admin.actions import ReasonForm
from oms.lib.clock import now
from orders.models import Amendment, BrokerAccount, Order
from orders.tests.factories import place, see, send
from orders.types import BrokerStatus

KINDS = ("actions_list", "actions_detail", "actions_row", "actions_submit_line")
WATCHED = ("orders", "ledger", "compliance", "auth", "mfa", "axes")
WHY = "because a test says so"
HX = {"HX-Request": "true"}

#: Every action there is: (model admin, name).
ACTIONS = sorted(
    {(page, name) for page in admin.site._registry.values() for kind in KINDS for name in getattr(page, kind, ())},
    key=str,
)


def url_of(page: Any, name: str, row: Any = None) -> str:
    full = f"admin:{page.model._meta.app_label}_{page.model._meta.model_name}_{name}"
    try:
        return reverse(full)
    except NoReverseMatch:
        return reverse(full, args=[row.pk if row is not None else 1])


def action_url(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def contents() -> dict[str, str]:
    """A digest of every table that an action could write."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            if table.startswith(WATCHED):
                digest = "md5(string_agg(t::text, ',' ORDER BY t::text))"
                cursor.execute(f'SELECT count(*), {digest} FROM "{table}" t')  # noqa: S608  names from the schema
                found[table] = str(cursor.fetchone())
    return found


@pytest.fixture
def everything(db: None, trader: Any, sbin: Any, broker_account: Any, account: Any) -> Order:
    """Something for each action to act on."""
    order = see(send(place(user=trader)), BrokerStatus.OPEN)
    raise_alert(key="k", kind="TEST", summary="Look at this", at=now(), account_id=account.pk)
    account.algos.create(algo_id="A-1", name="Momentum")
    AccessAttempt.objects.create(username="trader", ip_address="10.0.0.1", failures_since_start=5)
    return order


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create_superuser("root", password="root")


def test_there_are_actions_to_test() -> None:
    assert {name for _, name in ACTIONS} >= {"cancel", "login", "logout", "change_mode", "new_version", "close"}


@pytest.mark.parametrize(("page", "name"), ACTIONS, ids=str)
def test_every_action_asks_why(page: Any, name: str) -> None:
    method = getattr(page, name)
    assert issubclass(method.dialog["form_class"], ReasonForm)
    assert method.allowed_permissions
    assert not getattr(page, "actions_submit_line", ()), "a button in a form has no dialog"


@pytest.mark.parametrize("page", list(admin.site._registry.values()), ids=str)
def test_no_list_has_bulk_actions(page: Any, rf: Any, root: User) -> None:
    request = rf.get("/")
    request.user = root
    assert page.get_actions(request) == {}


@pytest.mark.parametrize(("page", "name"), ACTIONS, ids=str)
def test_nothing_changes_without_a_reason(page: Any, name: str, everything: Order, root: User, client: Client) -> None:
    client.force_login(root)
    url = url_of(page, name, page.model._default_manager.first())
    fields = {"_form_submitted": "on", "mode": "HALTED", "max_order_value": "1", "api_key": "other"}
    before = contents()
    answers = [
        client.get(url), client.head(url), client.post(url, fields), client.post(url, fields | {"reason": "   "}),
        client.post(url, {"reason": WHY}), client.get(url, fields | {"reason": WHY}),
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} <= {200, 403}
    assert contents() == before


def press(client: Client, url: str, **fields: Any) -> Any:
    return client.post(url, {"_form_submitted": "on", "reason": WHY, **fields}, headers=HX)


def test_an_operator_cancels_an_order_and_the_record_says_who_and_why(
    everything: Order, operator: User, client: Client
) -> None:
    client.force_login(operator)
    answer = press(client, action_url(Order, "cancel", everything.pk))
    assert answer.headers["HX-Redirect"]
    amendment = Amendment.objects.get(order=everything)
    assert (amendment.kind, amendment.state, amendment.reason) == ("CANCEL", "QUEUED", WHY)
    event = OrderEvent.objects.get(order_id=everything.pk, event_type="CANCEL_REQUESTED")
    assert (event.actor_type, event.actor_id, event.channel) == ("OPERATOR", str(operator.pk), "ADMIN")
    assert event.source_ip == "127.0.0.1"
    assert event.session_id
    assert client.session.session_key not in event.session_id
    assert event.data["reason"] == WHY


def test_officers_do_not_trade(everything: Order, officer: User, client: Client) -> None:
    client.force_login(officer)
    assert press(client, action_url(Order, "cancel", everything.pk)).status_code == 403
    assert press(client, action_url(BrokerAccount, "login", everything.broker_account_id)).status_code == 403
    assert (
        press(client, action_url(BrokerAccount, "change_credentials", everything.broker_account_id)).status_code == 403
    )
    assert not Amendment.objects.exists()
    assert "Cancel the order" not in client.get(action_url(Order, "change", everything.pk)).content.decode()


def test_an_order_that_has_ended_offers_no_cancel(everything: Order, operator: User, client: Client) -> None:
    see(everything, BrokerStatus.CANCELLED)
    client.force_login(operator)
    assert press(client, action_url(Order, "cancel", everything.pk)).status_code == 403
    assert "Cancel the order" not in client.get(action_url(Order, "change", everything.pk)).content.decode()


@pytest.mark.parametrize("scope", ["HOUSE", "ACCOUNT", "ALGO"])
def test_a_kill_switch_is_thrown_and_released(scope: str, everything: Order, operator: User, client: Client) -> None:
    account = everything.account
    algo = account.algos.get()
    query = {"HOUSE": "", "ACCOUNT": f"?account={account.pk}", "ALGO": f"?algo={algo.pk}"}[scope]
    client.force_login(operator)
    for mode, event in (("HALTED", "KILL_SWITCH_ON"), ("ACTIVE", "KILL_SWITCH_OFF")):
        assert press(client, action_url(KillSwitch, "change_mode") + query, mode=mode).headers["HX-Redirect"]
        switch = KillSwitch.objects.get()
        assert (switch.scope, switch.mode, switch.reason, switch.changed_by) == (scope, mode, WHY, operator)
        assert OrderEvent.objects.filter(order_id=None, event_type=event).count() == 1
        assert WHY in client.get(action_url(KillSwitch, "changelist")).content.decode()


def test_a_thrown_house_switch_stops_orders_but_not_cancels(
    everything: Order, operator: User, trader: User, client: Client
) -> None:
    client.force_login(operator)
    press(client, action_url(KillSwitch, "change_mode"), mode="HALTED")
    assert place(user=trader).rejection_code == "KILL_SWITCH"
    assert press(client, action_url(Order, "cancel", everything.pk)).headers["HX-Redirect"]


@pytest.mark.parametrize("query", ["?account=999999", "?algo=999999", "?account=x", "?account=1;drop"])
def test_a_switch_on_nothing_is_refused(query: str, everything: Order, operator: User, client: Client) -> None:
    client.force_login(operator)
    answer = press(client, action_url(KillSwitch, "change_mode") + query, mode="HALTED")
    assert 'role="alert"' in answer.content.decode()
    assert not KillSwitch.objects.exists()


def test_the_page_of_an_account_sets_its_mode_and_limits(everything: Order, officer: User, client: Client) -> None:
    account = everything.account
    client.force_login(officer)
    press(client, action_url(Account, "set_mode", account.pk), mode="REDUCING")
    assert KillSwitch.objects.get().account == account
    press(client, action_url(Account, "set_limits", account.pk), max_order_value="50000.00", max_orders_per_second="3")
    limit = RiskLimit.objects.get(account=account)
    assert (limit.version, limit.max_orders_per_second, limit.max_open_value) == (1, 3, None)
    assert OrderEvent.objects.filter(event_type="LIMIT_CHANGED", account_id=account.pk).exists()


def test_new_limits_begin_with_those_in_force_and_supersede_them(
    everything: Order, operator: User, client: Client
) -> None:
    client.force_login(operator)
    first = RiskLimit.objects.get(scope="HOUSE")
    form = client.get(action_url(RiskLimit, "next_version", first.pk)).context["form"]
    assert form.initial["max_order_value"] == first.max_order_value
    press(client, action_url(RiskLimit, "next_version", first.pk), max_order_value="250000")
    second = RiskLimit.objects.get(scope="HOUSE", version=2)
    assert (second.max_order_value, second.max_orders_per_second, second.created_by) == (250000, None, operator)
    shown = client.get(action_url(RiskLimit, "changelist")).context["cl"].result_list
    assert list(shown) == [second]
    assert len(client.get(action_url(RiskLimit, "changelist") + "?open=all").context["cl"].result_list) == 2


def test_a_negative_limit_names_its_field(everything: Order, operator: User, client: Client) -> None:
    client.force_login(operator)
    answer = press(client, action_url(RiskLimit, "new_version"), max_order_value="-1")
    assert "max_order_value" in answer.context["form"].errors
    assert RiskLimit.objects.count() == 1


def test_an_alert_is_closed_with_a_reason(everything: Order, officer: User, client: Client) -> None:
    client.force_login(officer)
    alert = Alert.objects.get()
    press(client, action_url(Alert, "close", alert.pk))
    alert.refresh_from_db()
    assert alert.closed_at
    assert (alert.closed_by, alert.closing_reason) == (officer, WHY)
    assert press(client, action_url(Alert, "close", alert.pk)).status_code == 403


def test_login_goes_on_to_the_brokers_own_page(everything: Order, operator: User, client: Client) -> None:
    client.force_login(operator)
    answer = press(client, action_url(BrokerAccount, "login", everything.broker_account_id))
    assert answer.headers["HX-Redirect"].startswith("http://127.0.0.1:9/connect/login")
    assert "api_key=paper" in answer.headers["HX-Redirect"]


def test_new_credentials_end_the_session_and_the_secret_is_recorded_nowhere(
    everything: Order, operator: User, client: Client
) -> None:
    client.force_login(operator)
    pk = everything.broker_account_id
    secret = "a-very-new-secret"
    press(client, action_url(BrokerAccount, "change_credentials", pk), api_secret=secret, egress_address="203.0.113.7")
    changed = BrokerAccount.objects.get(pk=pk)
    assert (changed.api_secret, changed.egress_address, changed.api_key) == (secret, "203.0.113.7", "paper")
    assert (changed.session_state, changed.access_token) == ("EXPIRED", "")
    event = OrderEvent.objects.get(event_type="BROKER_ACCOUNT_CHANGED")
    assert event.data["changes"] == {"api_secret": "changed", "egress_address": "203.0.113.7"}
    assert secret not in client.get(action_url(BrokerAccount, "change", pk)).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT position(%s::bytea in api_secret::bytea) FROM orders_brokeraccount", [secret.encode()])
        assert cursor.fetchone() == (0,)


def test_a_refusal_is_shown_in_the_dialog_with_what_was_typed(
    everything: Order, operator: User, client: Client
) -> None:
    client.force_login(operator)
    answer = press(
        client, action_url(BrokerAccount, "change_credentials", everything.broker_account_id), api_key="paper"
    )
    assert "HX-Redirect" not in answer.headers
    assert "Nothing would change" in answer.content.decode()
    assert WHY in answer.content.decode(), "what was typed is still there"
    assert not OrderEvent.objects.filter(event_type="BROKER_ACCOUNT_CHANGED").exists()


def test_an_operator_lifts_a_lock_out_and_it_is_logged(everything: Order, operator: User, client: Client) -> None:
    client.force_login(operator)
    press(client, action_url(AccessAttempt, "lift", AccessAttempt.objects.get().pk))
    assert not AccessAttempt.objects.exists()
    assert WHY in LogEntry.objects.get().change_message


def test_a_forged_return_address_is_not_followed(everything: Order, operator: User, client: Client) -> None:
    client.force_login(operator)
    url = action_url(Order, "cancel", everything.pk)
    fields = {"_form_submitted": "on", "reason": WHY}
    answer = client.post(url, fields, headers={**HX, "HX-Current-URL": "https://evil.example/admin/"})
    assert answer.headers["HX-Redirect"] == "/admin/"
