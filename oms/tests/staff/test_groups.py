"""What the staff groups may do, against what their services let them do, and what each finds in the menu."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Group, Permission, User

from compliance.services.alerts import close_alert, raise_alert
from oms.lib.clock import now
from oms.staff.admin_site import MENU, environment, navigation, open_alerts
from oms.staff.groups import APPS, HIDDEN, MAY, ensure_groups

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _groups(db: None) -> None:
    ensure_groups()


def permissions(name: str) -> set[str]:
    rows = Permission.objects.filter(group__name=name).select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}" for row in rows}


@pytest.mark.parametrize("group", MAY)
def test_staff_look_at_everything_of_the_desk_and_do_what_is_named(group: str) -> None:
    held = permissions(group)
    doing = {one for one in held if not one.split(".")[1].startswith("view_")}
    assert doing == {one for one in MAY[group] if not one.split(".")[1].startswith("view_")}
    views = Permission.objects.filter(content_type__app_label__in=APPS, codename__startswith="view_")
    assert {f"{v.content_type.app_label}.{v.codename}" for v in views if v.codename not in HIDDEN} <= held
    assert not any(one.endswith(tuple(HIDDEN)) for one in held)


def test_compliance_looks_and_controls_and_does_not_trade() -> None:
    assert "orders.change_order" not in permissions("compliance")
    assert not {one for one in permissions("compliance") if one.startswith("orders.") and ".view_" not in one}
    assert permissions("compliance") < permissions("operator"), "operators may all of it, and more"


def test_nobody_may_delete_or_manage_people() -> None:
    for group in MAY:
        held = permissions(group)
        assert not {one for one in held if ".delete_" in one or one.startswith(("auth.", "mfa."))}


def test_what_a_superuser_added_by_hand_stays_and_what_was_taken_comes_back() -> None:
    operators = Group.objects.get(name="operator")
    extra = Permission.objects.get(codename="view_user")
    operators.permissions.add(extra)
    operators.permissions.remove(Permission.objects.get(codename="change_order"))
    ensure_groups()
    assert {"auth.view_user", "orders.change_order"} <= permissions("operator")


class TestMenu:
    def titles(self, user: Any) -> dict[str, list[str]]:
        groups = navigation(SimpleNamespace(user=user))  # type: ignore[arg-type]
        return {group.get("title", ""): [item["title"] for item in group["items"]] for group in groups}

    def test_each_finds_what_they_may_view_and_nothing_that_would_turn_them_away(
        self, operator: User, officer: User, trader: User
    ) -> None:
        for user in (operator, officer, trader, AnonymousUser()):
            shown = self.titles(user)
            for title, items in MENU:
                views = [(name, "{}.view_{}".format(*model.split("_", 1))) for name, _, model in items]
                assert shown.get(title, []) == [name for name, view in views if user.has_perm(view)]
            assert shown[""] == ["Live"]
        assert "People" in self.titles(operator)
        assert self.titles(operator)["People"] == ["Lock-outs"]
        assert "People" not in self.titles(officer)

    def test_a_superuser_finds_all(self) -> None:
        root = User.objects.create_superuser("root", password="root")
        assert self.titles(root) == {"": ["Live"]} | {title: [item[0] for item in items] for title, items in MENU}

    def test_every_page_of_ours_is_in_the_menu(self) -> None:
        """A page that nobody can find might as well not be there."""
        ours = {
            f"{model._meta.app_label}_{model._meta.model_name}"
            for model in admin.site._registry
            if model._meta.app_label in APPS
        }
        assert ours <= {name for _, items in MENU for _, _, name in items}

    def test_open_alerts_are_counted_beside_their_page(self, operator: User) -> None:
        request: Any = SimpleNamespace(user=operator)
        assert open_alerts(request) == ""
        for key in ("a", "b"):
            raise_alert(key=key, kind="TEST", summary="x", at=now())
        assert open_alerts(request) == "2"
        from compliance.models import Alert

        close_alert(Alert.objects.get(key="a").pk, reason="done", user=operator, at=now())
        assert open_alerts(request) == "1"

    @pytest.mark.parametrize(("demo", "label"), [(True, ["Demo", "warning"]), (False, None)])
    def test_nobody_takes_the_demo_for_the_market(self, settings: Any, demo: bool, label: list[str] | None) -> None:
        settings.DEMO = demo
        assert environment(SimpleNamespace()) == label  # type: ignore[arg-type]
