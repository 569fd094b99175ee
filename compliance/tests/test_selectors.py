"""Whose is what: every reader of rights agrees with every other, for every person and every account."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.models import Account, AlgoRegistration, Membership
from compliance.selectors import (
    COMPLIANCE,
    OPERATOR,
    accounts_to_trade,
    accounts_visible_to,
    controls_of,
    inactive_among,
    is_in,
    lock_tradable_accounts,
    lock_trading_account,
    raised_among,
    require,
    tradable_accounts,
)
from compliance.services.alerts import raise_alert, resolve_alert
from compliance.services.controls import set_limits
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.db import read
from oms.lib.errors import Forbidden, NotFound

pytestmark = pytest.mark.django_db
#: (sees DEMO, trades DEMO) by person; everybody else is a stranger.
RIGHTS = {
    "trader": (True, True), "viewer": (True, False), "outsider": (False, False), "operator": (True, True),
    "officer": (True, False), "root": (True, True),
}  # fmt: skip


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root", password="root")


@pytest.fixture(params=RIGHTS)
def person(request):
    return request.getfixturevalue(request.param)


def sees(user, account):
    """What each reader of visibility says."""
    found = {accounts_visible_to(user).filter(pk=account.pk).exists()}
    outcome = read(tradable_accounts([(account.code, user.pk)]))[account.code, user.pk]
    found.add(not isinstance(outcome, NotFound))
    return found


def trades(user, account):
    """What each reader of the right to trade says."""
    found = {accounts_to_trade(user).filter(pk=account.pk).exists()}
    found.add(read(tradable_accounts([(account.code, user.pk)]))[account.code, user.pk] == account)
    try:
        found.add(lock_tradable_accounts({account.code}, user) == {account.code: account})
    except (Forbidden, NotFound):
        found.add(False)
    return found


class TestOnePerson:
    def test_all_readers_say_the_same(self, person, account):
        seen, traded = RIGHTS[person.username]
        assert sees(person, account) == {seen}
        assert trades(person, account) == {traded}

    def test_who_is_not_active_has_no_rights(self, person, account):
        User.objects.filter(pk=person.pk).update(is_active=False)
        person = User.objects.get(pk=person.pk)
        assert sees(person, account) == {False}
        assert trades(person, account) == {False}

    def test_a_membership_of_another_account_is_worth_nothing_here(self, person, account, other_account):
        Membership.objects.update_or_create(account=other_account, user=person, defaults={"role": "TRADER"})
        seen, traded = RIGHTS[person.username]
        assert sees(person, account) == {seen}
        assert trades(person, account) == {traded}


def test_an_anonymous_visitor_sees_nothing(account):
    assert not accounts_visible_to(AnonymousUser()).exists()
    assert not accounts_to_trade(AnonymousUser()).exists()
    assert not is_in(AnonymousUser(), OPERATOR, COMPLIANCE)


role = st.sampled_from([None, "VIEWER", "TRADER"])
people = st.fixed_dictionaries(
    {"memberships": st.tuples(role, role), "groups": st.sets(st.sampled_from([OPERATOR, COMPLIANCE])), "active": st.booleans()}
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_people=st.lists(people, min_size=1, max_size=3))
def test_whatever_rights_people_have_each_pair_stands_alone(account, other_account, operator, given_people):
    """One read for all pairs says of each what that person's own rights say, and locks nothing else."""
    accounts, wanted = [account, other_account], {}
    for number, told in enumerate(given_people):
        user, _ = User.objects.get_or_create(username=f"p{number}")
        User.objects.filter(pk=user.pk).update(is_active=told["active"])
        user.groups.set(Group.objects.filter(name__in=told["groups"]))
        Membership.objects.filter(user=user).delete()
        for one, held in zip(accounts, told["memberships"], strict=True):
            if held:
                Membership.objects.create(account=one, user=user, role=held)
            traded = told["active"] and (OPERATOR in told["groups"] or held == "TRADER")
            seen = told["active"] and (bool(told["groups"]) or held is not None)
            wanted[one.code, user.pk] = one if traded else Forbidden if seen else NotFound
    found = read(tradable_accounts(wanted))
    told = {pair: one if isinstance(one, Account) else type(one) for pair, one in found.items()}
    assert told == wanted


def test_the_house_itself_trades_every_account_and_no_account_that_is_not_there(account):
    found = read(tradable_accounts([("DEMO", None), ("GHOST", None)]))
    assert found["DEMO", None] == account
    assert isinstance(found["GHOST", None], NotFound)


def test_of_several_codes_all_are_locked_or_none(trader, account, other_account):
    with pytest.raises(NotFound):
        lock_tradable_accounts({"DEMO", "OTHER"}, trader)
    assert lock_tradable_accounts({"DEMO", "OTHER"}, None) == {"DEMO": account, "OTHER": other_account}


def test_an_absent_account_and_one_of_somebody_else_are_told_alike(outsider, account):
    said = []
    for code in ("DEMO", "GHOST"):
        with pytest.raises(NotFound) as refusal:
            lock_tradable_accounts({code}, outsider)
        said.append(refusal.value.detail.replace(code, "…"))
    assert said[0] == said[1]


def test_only_trading_accounts_are_locked_for_a_change(account):
    assert lock_trading_account(account.pk) == account
    for pk in (Account.objects.get(kind="HOUSE").pk, 0):
        with pytest.raises(NotFound):
            lock_trading_account(pk)


@pytest.mark.parametrize(
    ("groups", "allowed"),
    [
        ((OPERATOR,), {"operator", "root"}),
        ((COMPLIANCE,), {"officer", "root"}),
        ((OPERATOR, COMPLIANCE), {"operator", "officer", "root"}),
    ],
)
def test_staff_groups_open_what_they_name(person, groups, allowed):
    require(None, *groups, what="do this")  # the house itself
    if person.username in allowed:
        require(person, *groups, what="do this")
    else:
        with pytest.raises(Forbidden, match="may do this: ask one of them"):
            require(person, *groups, what="do this")


class TestControls:
    @pytest.fixture
    def algo(self, account):
        return AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum")

    def limit(self, scope, value, **target):
        by = {"reason": "test", "user": None, "actor": SYSTEM, "at": now()}
        return set_limits(scope, values={"max_order_value": value}, **target, **by)

    def test_limits_cover_what_they_name_in_their_last_version(self, account, other_account, algo):
        self.limit("HOUSE", 1)
        house = self.limit("HOUSE", 2)
        self.limit("ACCOUNT", 3, account=account)
        own = self.limit("ACCOUNT", 4, account=account)
        other = self.limit("ACCOUNT", 5, account=other_account)
        algos = self.limit("ALGO", 6, algo=algo)
        controls = controls_of([account.pk, other_account.pk], ["A1", ""])
        assert set(controls.limits_on(account.pk, None)) == {house, own}
        assert set(controls.limits_on(account.pk, algo)) == {house, own, algos}
        assert set(controls.limits_on(other_account.pk, None)) == {house, other}

    def test_an_algorithm_is_its_accounts_own(self, account, other_account, algo):
        namesake = AlgoRegistration.objects.create(account=other_account, algo_id="A1", name="Another")
        controls = controls_of([account.pk, other_account.pk], ["A1"])
        assert (controls.algo(account.pk, "A1"), controls.algo(other_account.pk, "A1")) == (algo, namesake)
        assert controls_of([account.pk], ["A1"]).algo(other_account.pk, "A1") is None
        assert controls_of([account.pk], ["GHOST"]).algos == {}

    def test_however_many_accounts_it_is_read_in_one_go(self, account, other_account, algo):
        def queries(*ids):
            with CaptureQueriesContext(connection) as captured:
                controls_of(ids, ["A1"])
            return len(captured)

        assert queries(account.pk) == queries(account.pk, other_account.pk) == 3


def test_closed_accounts_are_told_from_open_ones(account, other_account):
    assert inactive_among([account.pk, other_account.pk]) == set()
    Account.objects.filter(pk=account.pk).update(is_active=False)
    assert inactive_among([account.pk, other_account.pk, 0]) == {account.pk}
    assert inactive_among([other_account.pk]) == set()


def test_an_alert_that_was_closed_was_raised_all_the_same(django_assert_num_queries):
    for key in ("a", "b"):
        raise_alert(key=key, kind="TEST", summary="x", at=now())
    resolve_alert("a", reason="over", at=now())
    with django_assert_num_queries(1):
        assert raised_among({"a", "c"}) == {"a"}
    with django_assert_num_queries(0):
        assert raised_among(set()) == set()
