"""The pages of kill switches, limits, alerts and events: what is in force first, and for whom each dialog is."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from compliance.admin import events
from compliance.admin.events import event_tone
from compliance.admin.kill_switches import MODE_TONES
from compliance.admin.targets import HOUSE, Target, of_account, of_algo, of_limit
from compliance.audit import EventType
from compliance.models import Account, Alert, AlgoRegistration, KillSwitch, OrderEvent, RiskLimit, Scope
from compliance.selectors import account_events
from compliance.services.alerts import close_alert, raise_alert
from compliance.services.controls import set_kill_switch, set_limits
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import NotFound
from orders.tests.factories import place

WHY = "because a test says so"
BY: dict[str, Any] = {"reason": "test", "user": None, "actor": SYSTEM}


def url(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.fixture
def desk(officer: User, client: Client) -> Client:
    client.force_login(officer)
    return client


@pytest.fixture
def algo(account: Account) -> AlgoRegistration:
    return AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum")


def press(client: Client, address: str, **fields: Any) -> Any:
    return client.post(address, {"_form_submitted": "on", "reason": WHY, **fields}, headers={"HX-Request": "true"})


class TestTargets:
    def test_each_finds_its_own(self, rf: Any, account: Account, algo: AlgoRegistration) -> None:
        limit = set_limits("ALGO", algo=algo, values={}, at=now(), **BY)
        request = rf.get("/")
        assert of_account(request, account.pk) == Target(Scope.ACCOUNT, account=account)
        assert of_algo(request, algo.pk) == of_limit(request, limit.pk) == Target(Scope.ALGO, algo=algo)
        assert of_limit(request, RiskLimit.objects.get(scope="HOUSE").pk) == HOUSE

    def test_nothing_is_found_for_what_is_not_there(self, rf: Any, account: Account) -> None:
        house = Account.objects.get(kind="HOUSE").pk
        for finder, pk in ((of_account, 0), (of_account, house), (of_algo, 0), (of_limit, 0)):
            with pytest.raises(NotFound):
                finder(rf.get("/"), pk)

    def test_words_and_addresses(self, account: Account, algo: AlgoRegistration) -> None:
        targets = (HOUSE, Target(Scope.ACCOUNT, account=account), Target(Scope.ALGO, algo=algo))
        assert [str(target) for target in targets] == [
            "the whole house", "account DEMO (Demo)", "algorithm A1 of DEMO",
        ]  # fmt: skip
        assert [target.query for target in targets] == ["", f"?account={account.pk}", f"?algo={algo.pk}"]


class TestKillSwitches:
    def rows(self, client: Client, term: str = "") -> tuple[list[str], list[str]]:
        context = client.get(url(KillSwitch, "changelist"), {"q": term}).context
        return [row.name for row in context["accounts"]], [row.name for row in context["algos"]]

    def test_the_thrown_ones_stand_first_and_all_can_be_found(
        self, desk: Client, account: Account, other_account: Account, algo: AlgoRegistration
    ) -> None:
        assert self.rows(desk) == (["DEMO · Demo", "OTHER · Other"], ["A1 · Momentum"])
        set_kill_switch("ACCOUNT", account=other_account, mode="HALTED", at=now(), **BY)
        assert self.rows(desk)[0] == ["OTHER · Other", "DEMO · Demo"]
        assert self.rows(desk, "oth") == (["OTHER · Other"], [])
        assert self.rows(desk, "moment") == ([], ["A1 · Momentum"])

    @pytest.mark.parametrize("mode", ["REDUCING", "HALTED"])
    def test_the_houses_mode_is_told_with_its_reason(self, desk: Client, account: Account, mode: str) -> None:
        set_kill_switch("HOUSE", mode=mode, at=now(), **BY | {"reason": "flash crash"})
        answer = desk.get(url(KillSwitch, "changelist"))
        assert answer.context["house"].mode == mode
        assert "flash crash" in answer.content.decode()
        assert f"oms-{MODE_TONES[mode]}" in answer.content.decode()

    def test_a_dialog_says_above_its_fields_for_whom_it_is(
        self, desk: Client, account: Account, algo: AlgoRegistration
    ) -> None:
        for query, words in (("", "the whole house"), (f"?account={account.pk}", "DEMO"), (f"?algo={algo.pk}", "A1")):
            text = desk.get(url(KillSwitch, "change_mode") + query).content.decode()
            assert re.search(rf"For [^<]*{words}", text)
        assert "There is no such account" in desk.get(url(KillSwitch, "change_mode") + "?account=0").content.decode()

    def test_each_mode_says_what_it_means(self, desk: Client, account: Account) -> None:
        text = desk.get(url(KillSwitch, "change_mode")).content.decode()
        for words in ("within the limits", "must close a position", "Cancels always pass"):
            assert words in text


class TestLimits:
    @pytest.fixture
    def versions(self, account: Account, algo: AlgoRegistration) -> dict[str, RiskLimit]:
        for value in (1, 2):
            house = set_limits("HOUSE", values={"max_order_value": value}, at=now(), **BY)
            own = set_limits("ACCOUNT", account=account, values={"max_order_value": value}, at=now(), **BY)
            algos = set_limits("ALGO", algo=algo, values={"max_order_value": value}, at=now(), **BY)
        return {"house": house, "account": own, "algo": algos}

    @pytest.mark.parametrize(("chosen", "count"), [("", 3), ("closed", 4), ("all", 7)])
    def test_those_in_force_first_the_superseded_and_all_on_request(
        self, desk: Client, versions: dict[str, RiskLimit], chosen: str, count: int
    ) -> None:
        shown = list(
            desk.get(url(RiskLimit, "changelist"), {"open": chosen} if chosen else {}).context["cl"].result_list
        )
        assert len(shown) == count == len(set(shown))
        if not chosen:
            assert set(shown) == set(versions.values())
        if chosen == "closed":
            assert not set(shown) & set(versions.values())

    @pytest.mark.parametrize("scope", ["house", "account", "algo"])
    def test_the_next_version_begins_with_the_one_in_force(
        self, desk: Client, versions: dict[str, RiskLimit], scope: str
    ) -> None:
        current = versions[scope]
        address = url(RiskLimit, "next_version", current.pk)
        assert desk.get(address).context["form"].initial["max_order_value"] == 2
        assert "HX-Redirect" in press(desk, address, max_order_value="7", max_order_quantity="").headers
        newest = RiskLimit.objects.filter(scope=current.scope).order_by("-version").first()
        assert newest is not None
        assert (newest.version, newest.max_order_value, newest.max_order_quantity) == (current.version + 1, 7, None)
        assert (newest.account, newest.algo) == (current.account, current.algo)

    @pytest.mark.parametrize("value", ["-1", "many", "1.234"])
    def test_what_is_no_limit_is_told_at_its_field(self, desk: Client, account: Account, value: str) -> None:
        answer = press(desk, url(Account, "set_limits", account.pk), max_order_value=value)
        assert set(answer.context["form"].errors) == {"max_order_value"}
        assert not account.limits.exists()


class TestAlerts:
    @pytest.fixture
    def alerts(self, account: Account, officer: User) -> None:
        at = now()
        for minutes, key in enumerate(("newest", "older", "closed")):
            moment = at - timedelta(minutes=minutes)
            raise_alert(key=key, kind="TEST", summary=f"{key} <b>", account_id=account.pk, at=moment)
        close_alert(Alert.objects.get(key="closed").pk, reason="looked at", user=officer, at=at)

    @pytest.mark.parametrize(
        ("chosen", "keys"), [("", ["newest", "older"]), ("closed", ["closed"]), ("all", ["newest", "older", "closed"])]
    )
    def test_open_ones_first_the_latest_on_top(self, desk: Client, alerts: None, chosen: str, keys: list[str]) -> None:
        answer = desk.get(url(Alert, "changelist"), {"open": chosen} if chosen else {})
        assert [alert.key for alert in answer.context["cl"].result_list] == keys
        assert " <b>" not in answer.content.decode(), "what a broker said is no markup"

    def test_a_page_says_who_closed_it_and_why(self, desk: Client, alerts: None, officer: User) -> None:
        text = desk.get(url(Alert, "change", Alert.objects.get(key="closed").pk)).content.decode()
        assert "looked at" in text
        assert officer.get_username() in text

    def test_only_an_open_alert_is_closed(self, desk: Client, alerts: None, trader: User) -> None:
        closed, newest = (Alert.objects.get(key=key).pk for key in ("closed", "newest"))
        assert press(desk, url(Alert, "close", closed)).status_code == 403
        assert "HX-Redirect" in press(desk, url(Alert, "close", newest)).headers
        assert press(desk, url(Alert, "close", 0)).status_code in (403, 404)


class TestEvents:
    def test_the_page_recomputes_the_chain_and_shows_the_bytes(
        self, desk: Client, account: Account, trader: User, sbin: Any
    ) -> None:
        order = place(user=trader)
        event = OrderEvent.objects.filter(order_id=order.pk).latest("seq")
        text = desk.get(url(OrderEvent, "change", event.pk)).content.decode()
        assert f"{order.event_seq} events" in text
        assert bytes(event.hash).hex() in text
        assert "every hash recomputes" in text

    def test_a_chain_that_was_cut_is_shown_as_broken(
        self, desk: Client, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The database lets nobody cut one, so the page is told of a log whose tail is gone."""
        event = account_events(account.pk).latest("seq")
        monkeypatch.setattr(events, "account_events", lambda pk: list(account_events(pk))[:-1])
        text = desk.get(url(OrderEvent, "change", event.pk)).content.decode()
        assert "broken" in text
        assert "the last events are missing" in text

    def test_an_order_is_found_by_its_id_and_nothing_by_anything_else(
        self, desk: Client, account: Account, trader: User, sbin: Any
    ) -> None:
        order = place(user=trader)
        found = desk.get(url(OrderEvent, "changelist"), {"q": str(order.pk)}).context["cl"].result_list
        assert {event.order_id for event in found} == {order.pk}
        assert len(found) == order.event_seq
        for term in ("nonsense", str(order.pk)[:-1]):
            assert desk.get(url(OrderEvent, "changelist"), {"q": term}).context["cl"].result_list == []

    def test_every_kind_has_a_colour_and_trouble_is_red(self) -> None:
        tones = {kind: event_tone(kind) for kind in EventType.values}
        assert set(tones.values()) <= {"red", "amber", "green", "violet", "blue"}
        for kind in (
            "ORDER_REJECTED",
            "RISK_REJECTED",
            "ORDER_LOST",
            "SEND_UNCONFIRMED",
            "EXECUTION_REVERSED",
            "KILL_SWITCH_ON",
        ):
            assert tones[kind] == "red", kind
        assert tones["ORDER_FILLED"] == tones["KILL_SWITCH_OFF"] == "green"
        assert {tone for kind, tone in tones.items() if kind.startswith("CAPITAL")} == {"violet"}
