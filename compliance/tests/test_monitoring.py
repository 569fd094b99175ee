"""What the live page shows of controls: the newest first, the house before all, and to each only what is theirs."""

from datetime import timedelta

import pytest

from compliance.models import Account, AlgoRegistration, Membership
from compliance.monitoring import has_accounts, has_members, open_alert_count, open_alerts, thrown_switches
from compliance.services.alerts import close_alert, raise_alert
from compliance.services.controls import set_kill_switch
from oms.lib.actors import SYSTEM
from oms.lib.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def alerts(account, other_account, officer):
    """Of the house, of DEMO, of OTHER; an older one of DEMO, and one that is closed."""
    at = now()
    for key, minutes, account_id in (
        ("old", 9, account.pk), ("house", 3, None), ("demo", 2, account.pk), ("other", 1, other_account.pk),
        ("closed", 0, account.pk),
    ):  # fmt: skip
        raise_alert(key=key, kind="TEST", summary=key, account_id=account_id, at=at - timedelta(minutes=minutes))
    closed = open_alerts(officer, limit=1)[0]
    close_alert(closed.pk, reason="done", user=officer, at=at)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("operator", ["other", "demo", "house", "old"]), ("officer", ["other", "demo", "house", "old"]),
        ("trader", ["demo", "old"]), ("viewer", ["demo", "old"]), ("outsider", ["other"]),
    ],
)  # fmt: skip
def test_open_alerts_newest_first_and_only_ones_own(alerts, request, name, shown):
    user = request.getfixturevalue(name)
    assert [alert.summary for alert in open_alerts(user, limit=10)] == shown
    assert [alert.summary for alert in open_alerts(user, limit=1)] == shown[:1]
    user.is_active = False
    assert open_alerts(user, limit=10) == []


def test_the_badge_counts_all_that_are_open(alerts):
    assert open_alert_count() == 4


def test_an_alert_that_comes_up_again_moves_to_the_top(alerts, operator):
    raise_alert(key="old", kind="TEST", summary="old again", at=now())
    assert open_alerts(operator, limit=1)[0].summary == "old again"


def test_thrown_switches_the_houses_first_then_the_latest(account, other_account):
    algo = AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum")
    at = now()
    for minutes, (scope, mode, target) in enumerate((
        ("HOUSE", "REDUCING", {}), ("ACCOUNT", "HALTED", {"account": account}), ("ALGO", "HALTED", {"algo": algo}),
        ("ACCOUNT", "ACTIVE", {"account": other_account}),
    )):  # fmt: skip
        moment = at + timedelta(minutes=minutes)
        set_kill_switch(scope, mode=mode, reason="test", user=None, actor=SYSTEM, at=moment, **target)
    assert [(switch.scope, switch.mode) for switch in thrown_switches()] == [
        ("HOUSE", "REDUCING"), ("ALGO", "HALTED"), ("ACCOUNT", "HALTED"),
    ]  # fmt: skip


def test_the_house_is_no_trading_account(db):
    assert Account.objects.filter(kind="HOUSE").exists()
    assert (has_accounts(), has_members()) == (False, False)


def test_an_account_and_its_members_are_noticed(trader):
    assert (has_accounts(), has_members()) == (True, True)
    Membership.objects.all().delete()
    assert (has_accounts(), has_members()) == (True, False)
