"""The pages of accounts and algorithms: what staff read there, what a PAN never shows, what each dialog does."""

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from compliance.models import Account, AlgoRegistration, Membership
from compliance.selectors import account_events

WHY = "because a test says so"
PAN = "AAAPZ9999Z"


def url(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.fixture
def desk(operator: User, client: Client, account: Account) -> Client:
    Account.objects.filter(pk=account.pk).update(pan=PAN)
    client.force_login(operator)
    return client


def press(client: Client, address: str, **fields: Any) -> Any:
    return client.post(address, {"_form_submitted": "on", "reason": WHY, **fields}, headers={"HX-Request": "true"})


def page(client: Client, model: type[Any], *args: Any) -> str:
    answer = client.get(url(model, "change" if args else "changelist", *args))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("person", ["operator", "officer", "root"])
def test_no_page_and_no_dialog_shows_a_whole_pan(
    desk: Client, officer: User, operator: User, account: Account, person: str
) -> None:
    user = {"operator": operator, "officer": officer}.get(person) or User.objects.create_superuser("root", password="r")
    desk.force_login(user)
    for text in (page(desk, Account), page(desk, Account, account.pk)):
        assert "••••••999Z" in text
        assert PAN not in text
    form = desk.get(url(Account, "change_account", account.pk))
    assert PAN not in form.content.decode()


def test_the_page_says_who_may_act_and_how_far_its_chain_goes(
    desk: Client, account: Account, trader: User, viewer: User
) -> None:
    text = page(desk, Account, account.pk)
    for user in (trader, viewer):
        assert user.get_username() in text
    account.refresh_from_db()
    assert bytes(account.event_hash).hex() in text


def test_a_role_is_given_changed_and_taken_away(desk: Client, account: Account, outsider: User) -> None:
    address = url(Account, "set_member", account.pk)
    for role, roles in (("VIEWER", ["VIEWER"]), ("TRADER", ["TRADER"]), ("NONE", [])):
        assert "HX-Redirect" in press(desk, address, member=outsider.pk, role=role).headers
        rows = Membership.objects.filter(account=account, user=outsider)
        assert list(rows.values_list("role", flat=True)) == roles
    assert [event.event_type for event in account_events(account.pk)][-3:] == [
        "MEMBERSHIP_GRANTED", "MEMBERSHIP_GRANTED", "MEMBERSHIP_REVOKED",
    ]  # fmt: skip


def test_who_is_not_active_is_not_offered(desk: Client, account: Account, outsider: User, viewer: User) -> None:
    User.objects.filter(pk=outsider.pk).update(is_active=False)
    offered = set(desk.get(url(Account, "set_member", account.pk)).context["form"].fields["member"].queryset)
    assert viewer in offered
    assert outsider not in offered


def test_a_change_begins_with_what_is_known_and_leaves_the_pan_alone(desk: Client, account: Account) -> None:
    address = url(Account, "change_account", account.pk)
    form = desk.get(address).context["form"]
    assert (form.initial["name"], form.initial["products"], "pan" in form.initial) == (
        "Demo",
        ["CNC", "MIS", "NRML"],
        False,
    )
    given = {"name": "Demo Ltd", "ucc": "U-1", "pan": "", "products": ["CNC"], "is_active": "on"}
    assert "HX-Redirect" in press(desk, address, **given).headers
    changed = Account.objects.get(pk=account.pk)
    assert (changed.name, changed.products, changed.pan, changed.is_active) == ("Demo Ltd", ["CNC"], PAN, True)
    del given["is_active"]
    assert "HX-Redirect" in press(desk, address, **given | {"pan": "bbbpz1111b"}).headers
    changed = Account.objects.get(pk=account.pk)
    assert (changed.pan, changed.is_active) == ("BBBPZ1111B", False)


@pytest.mark.parametrize("field", ["name", "ucc", "pan"])
def test_what_does_not_fit_is_told_at_its_field(desk: Client, account: Account, field: str) -> None:
    given = {"name": "Demo", "ucc": "U-1", "pan": "", "products": ["CNC"], "is_active": "on"} | {field: "x" * 121}
    answer = press(desk, url(Account, "change_account", account.pk), **given)
    assert set(answer.context["form"].errors) == {field}


def test_the_house_is_listed_and_not_to_be_changed(desk: Client, account: Account) -> None:
    house = Account.objects.get(kind="HOUSE")
    answer = press(desk, url(Account, "change_account", house.pk), name="Mine", products=["CNC"])
    assert "HX-Redirect" not in answer.headers
    assert "no such trading account" in answer.content.decode()


def test_staff_of_no_group_see_the_accounts_that_are_theirs(
    desk: Client, account: Account, other_account: Account, outsider: User
) -> None:
    outsider.is_staff = True
    outsider.save()
    outsider.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    desk.force_login(outsider)
    shown = desk.get(url(Account, "changelist")).context["cl"].result_list
    assert [row.code for row in shown] == ["OTHER"]
    assert desk.get(url(Account, "change", account.pk)).status_code == 302


class TestAlgorithms:
    FIELDS = {"algo_id": "A-9", "name": "Momentum", "version": "1", "category": "WHITE_BOX", "vendor": "In-house"}

    def register(self, desk: Client, account: Account) -> AlgoRegistration:
        answer = press(desk, url(AlgoRegistration, "register_algo"), account=account.pk, **self.FIELDS)
        algo = AlgoRegistration.objects.get()
        assert answer.headers["HX-Redirect"] == url(AlgoRegistration, "change", algo.pk), "one lands on its page"
        return algo

    def test_registered_changed_and_suspended(self, desk: Client, account: Account) -> None:
        algo = self.register(desk, account)
        address = url(AlgoRegistration, "change_algo", algo.pk)
        assert desk.get(address).context["form"].initial["name"] == "Momentum"
        fields = {**self.FIELDS, "version": "2", "status": "SUSPENDED"}
        del fields["algo_id"]
        assert "HX-Redirect" in press(desk, address, **fields).headers
        algo.refresh_from_db()
        assert (algo.version, algo.status) == ("2", "SUSPENDED")
        assert "oms-red" in page(desk, AlgoRegistration)

    def test_the_same_id_twice_is_told_at_its_field(self, desk: Client, account: Account) -> None:
        self.register(desk, account)
        answer = press(desk, url(AlgoRegistration, "register_algo"), account=account.pk, **self.FIELDS)
        assert set(answer.context["form"].errors) >= {"algo_id"}
        assert AlgoRegistration.objects.count() == 1

    def test_a_lone_account_chooses_itself(self, desk: Client, account: Account) -> None:
        assert desk.get(url(AlgoRegistration, "register_algo")).context["form"].initial["account"] == account.pk

    def test_of_several_none_is_chosen_but_by_the_address(
        self, desk: Client, account: Account, other_account: Account
    ) -> None:
        address = url(AlgoRegistration, "register_algo")
        assert desk.get(address).context["form"].initial["account"] is None
        chosen = desk.get(address, {"account": other_account.pk}).context["form"].initial["account"]
        assert str(chosen) == str(other_account.pk)

    def test_officers_look_and_do_not_register(self, desk: Client, account: Account, officer: User) -> None:
        desk.force_login(officer)
        assert press(desk, url(AlgoRegistration, "register_algo"), account=account.pk, **self.FIELDS).status_code == 403
        assert desk.get(url(AlgoRegistration, "changelist")).status_code == 200
