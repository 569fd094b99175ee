"""Kill switches and limits: who may, what is recorded, and versions that nobody can edit."""

from decimal import Decimal as D

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from compliance.models import Account, AlgoRegistration, KillSwitch, RiskLimit
from compliance.selectors import account_events, controls_of
from compliance.services.controls import set_kill_switch, set_limits
from compliance.verification import verify_chain
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Forbidden, Invalid

pytestmark = pytest.mark.django_db


@pytest.fixture
def algo(account):
    return AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum")


def throw(mode="HALTED", scope="HOUSE", reason="test", user=None, **target):
    return set_kill_switch(scope, mode=mode, reason=reason, user=user, actor=SYSTEM, at=now(), **target)


def limit(scope="HOUSE", reason="test", user=None, account=None, algo=None, **values):
    return set_limits(
        scope, account=account, algo=algo, values=values, reason=reason, user=user, actor=SYSTEM, at=now()
    )


def mode(account, algo_id=""):
    controls = controls_of([account.pk], {algo_id})
    switch = controls.mode_of(account.pk, controls.algo(account.pk, algo_id))
    return switch.mode if switch else "ACTIVE"


class TestKillSwitch:
    def test_each_scope_stops_what_it_covers(self, account, other_account, algo):
        throw("REDUCING", "ALGO", algo=algo)
        assert (mode(account), mode(account, "A1"), mode(other_account)) == ("ACTIVE", "REDUCING", "ACTIVE")
        throw("REDUCING", "ACCOUNT", account=account)
        assert (mode(account), mode(other_account)) == ("REDUCING", "ACTIVE")
        throw("REDUCING")
        assert mode(other_account) == "REDUCING"

    @pytest.mark.parametrize("modes", [("HALTED", "REDUCING"), ("REDUCING", "HALTED")])
    def test_the_strictest_holds(self, account, modes):
        throw(modes[0])
        throw(modes[1], "ACCOUNT", account=account)
        assert mode(account) == "HALTED"

    def test_back_to_active(self, account):
        throw("HALTED")
        throw("ACTIVE", reason="over")
        assert mode(account) == "ACTIVE"
        assert KillSwitch.objects.get().reason == "over"

    def test_each_change_is_an_event_of_the_owners_chain(self, account, algo):
        house = Account.objects.get(kind="HOUSE")
        throw("HALTED", reason=" flash crash ")
        throw("ACTIVE", reason="over")
        throw("REDUCING", "ALGO", algo=algo)
        house.refresh_from_db()
        events = list(account_events(house.pk))
        assert [e.event_type for e in events] == ["KILL_SWITCH_ON", "KILL_SWITCH_OFF"]
        assert events[0].data == {
            "scope": "HOUSE",
            "algo_id": "",
            "from": "ACTIVE",
            "to": "HALTED",
            "reason": "flash crash",
        }
        assert verify_chain(events, head=house.event_hash).ok
        assert account_events(account.pk).last().data["algo_id"] == "A1"

    def test_who_may(self, account, trader, viewer, outsider, operator, officer):
        for user in (trader, viewer, outsider):
            with pytest.raises(Forbidden):
                throw(user=user)
        assert not KillSwitch.objects.exists()
        throw(user=operator)
        assert throw("ACTIVE", user=officer).changed_by == officer

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"reason": "  "}, "/reason"),
            ({"mode": "OFF"}, "/mode"),
            ({"scope": "ACCOUNT"}, "/scope"),
            ({"scope": "ALGO"}, "/scope"),
        ],
    )
    def test_what_is_not_valid(self, changes, pointer):
        with pytest.raises(Invalid) as caught:
            throw(**changes)
        assert [e.pointer for e in caught.value.errors] == [pointer]
        assert not KillSwitch.objects.exists()

    def test_a_house_switch_has_no_account(self, account):
        with pytest.raises(Invalid):
            throw(account=account)
        with pytest.raises(IntegrityError, match="scope_consistent"), transaction.atomic():
            KillSwitch.objects.create(scope="HOUSE", account=account, mode="HALTED", reason="x", changed_at=now())

    def test_one_switch_a_scope(self):
        throw()
        with pytest.raises(IntegrityError, match="once_per_scope"), transaction.atomic():
            KillSwitch.objects.create(scope="HOUSE", mode="ACTIVE", reason="x", changed_at=now())


class TestLimits:
    def current(self, account, algo=None):
        controls = controls_of([account.pk], {algo.algo_id} if algo else ())
        return {row.scope: row for row in controls.limits_on(account.pk, algo)}

    def test_a_change_is_a_new_version_of_all_of_them(self, account):
        first = limit("ACCOUNT", account=account, max_order_value=D(100), max_order_quantity=D(5))
        second = limit("ACCOUNT", account=account, max_order_value=D(200))
        assert (first.version, second.version) == (1, 2)
        row = self.current(account)["ACCOUNT"]
        assert (row.version, row.max_order_value, row.max_order_quantity) == (2, 200, None)

    def test_scopes_count_their_own_versions(self, account, other_account, algo):
        assert limit().version == 2  # the first came with the migration
        assert limit("ACCOUNT", account=account).version == 1
        assert limit("ACCOUNT", account=other_account).version == 1
        assert limit("ALGO", algo=algo).version == 1
        assert set(self.current(account)) == {"HOUSE", "ACCOUNT"}
        assert set(self.current(account, algo)) == {"HOUSE", "ACCOUNT", "ALGO"}

    def test_the_event_has_old_and_new(self, account):
        limit("ACCOUNT", account=account, max_order_value=D("100.50"))
        limit("ACCOUNT", account=account, max_order_value=D(200), reason="asked by risk")
        data = account_events(account.pk).last().data
        assert (data["from"]["max_order_value"], data["to"]["max_order_value"]) == ("100.5", "200")
        assert (data["version"], data["reason"]) == (2, "asked by risk")

    def test_nobody_edits_a_version(self, account):
        row = limit("ACCOUNT", account=account, max_order_value=D(100))
        for attempt in (
            lambda: RiskLimit.objects.filter(pk=row.pk).update(max_order_value=D(10**9)),
            lambda: RiskLimit.objects.filter(pk=row.pk).delete(),
        ):
            with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
                attempt()

    @pytest.mark.parametrize(
        ("values", "pointer"), [({"max_order_value": D(-1)}, "/max_order_value"), ({"max_hope": 1}, "/max_hope")]
    )
    def test_what_is_not_valid(self, values, pointer):
        with pytest.raises(Invalid) as caught:
            limit(**values)
        assert [e.pointer for e in caught.value.errors] == [pointer]
        assert RiskLimit.objects.count() == 1

    def test_who_may(self, account, trader, operator, officer):
        with pytest.raises(Forbidden):
            limit(user=trader)
        limit(user=operator)
        assert limit(user=officer).created_by == officer


def test_a_rate_of_no_orders_is_the_kill_switchs_to_set():
    """Orders are paced by the rate: with 0 they would be accepted and never sent."""
    with pytest.raises(Invalid) as refused:
        set_limits("HOUSE", values={"max_orders_per_second": 0}, reason="x", user=None, actor=SYSTEM, at=now())
    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/max_orders_per_second", "zero")
    assert "kill switch" in error.message
    set_limits("HOUSE", values={"duplicate_window_seconds": 0}, reason="x", user=None, actor=SYSTEM, at=now())
