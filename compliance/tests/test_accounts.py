"""Opening accounts, letting people and algorithms act on them: who may, what is refused, what the chain says."""

import pytest

from compliance.models import Account, AlgoRegistration, Membership
from compliance.selectors import account_events, accounts_to_trade, accounts_visible_to
from compliance.services.accounts import change_account, open_account
from compliance.services.algos import change_algo, register_algo
from compliance.services.memberships import grant_membership, revoke_membership
from compliance.verification import verify_chain
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Conflict, DomainError, Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db

PAN = "AAAPZ9999Z"
CLIENT = {
    "code": "ACME", "name": "Acme", "kind": "CLIENT", "ucc": "AC01", "pan": PAN, "products": ["CNC"], "reason": "signed",
}  # fmt: skip


def by(user=None, reason="signed"):
    return {"user": user, "actor": SYSTEM, "at": now(), "reason": reason}


def opened(user=None, **given):
    return open_account(**CLIENT | {"user": user, "actor": SYSTEM, "at": now()} | given)


def chain_of(account):
    """The types on an account's chain, after proving that it is whole."""
    account.refresh_from_db()
    events = list(account_events(account.pk))
    assert verify_chain(events, head=account.event_hash).ok
    return [event.event_type for event in events]


def pointers(refusal):
    return [error.pointer for error in refusal.value.errors]


class TestAccounts:
    def test_an_opened_account_is_there_and_its_chain_begins_with_that(self, operator):
        account = opened(operator, pan=" aaapz9999z ")
        assert (account.code, account.pan, account.products, account.is_active) == ("ACME", PAN, ["CNC"], True)
        assert chain_of(account) == ["ACCOUNT_OPENED"]
        event = account_events(account.pk).get()
        assert (event.data["pan"], event.data["reason"]) == ("••••••999Z", "signed")
        assert PAN not in bytes(event.c14n).decode()

    def test_only_operators_set_up_accounts(self, trader, viewer, officer, outsider, account):
        for user in (trader, viewer, officer, outsider):
            for refused in (
                lambda user=user: opened(user),
                lambda user=user: change_account(account.pk, changes={"name": "x"}, **by(user)),
                lambda user=user: grant_membership(account.pk, member=outsider, role="TRADER", **by(user)),
                lambda user=user: revoke_membership(account.pk, member=trader, **by(user)),
                lambda user=user: register_algo(account.pk, algo_id="A", name="x", **by(user)),
            ):
                with pytest.raises(Forbidden):
                    refused()
        assert chain_of(account) == ["CAPITAL_DEPOSITED"]

    @pytest.mark.parametrize(
        ("given", "wrong"),
        [
            ({"reason": " "}, ["/reason"]),
            ({"code": "a b"}, ["/code"]),
            ({"code": "x" * 37}, ["/code"]),
            ({"name": " "}, ["/name"]),
            ({"kind": "HOUSE"}, ["/kind"]),
            ({"kind": "BANK"}, ["/kind"]),
            ({"products": []}, ["/products"]),
            ({"products": ["CNC", "XXX"]}, ["/products"]),
            ({"pan": "ABC"}, ["/pan"]),
            ({"pan": ""}, ["/pan"]),
            ({"ucc": ""}, ["/ucc"]),
            ({"name": "", "pan": "1", "reason": ""}, ["/reason", "/name", "/pan"]),
        ],
    )
    def test_what_is_wrong_is_named_and_nothing_is_left(self, given, wrong):
        with pytest.raises(Invalid) as refusal:
            opened(**given)
        assert pointers(refusal) == wrong
        assert not Account.objects.exclude(kind="HOUSE").exists()

    def test_the_desks_own_account_needs_no_pan(self):
        assert opened(kind="PROP", pan="", ucc="").kind == "PROP"

    def test_a_code_is_given_once(self):
        first = opened()
        with pytest.raises(Conflict) as refusal:
            opened(name="Another")
        assert pointers(refusal) == ["/code"]
        assert chain_of(first) == ["ACCOUNT_OPENED"]

    def test_a_change_says_from_what_to_what(self, operator):
        account = opened()
        new = {"name": "Acme Ltd", "products": ["CNC", "MIS"], "is_active": False, "pan": "AAAPZ9998Z"}
        change_account(account.pk, changes=new, **by(operator, "merged"))
        assert chain_of(account) == ["ACCOUNT_OPENED", "ACCOUNT_CHANGED"]
        data = account_events(account.pk).last().data
        assert data["from"] == {"name": "Acme", "products": ["CNC"], "is_active": True, "pan": "••••••999Z"}
        assert data["to"] == new | {"pan": "••••••998Z"}
        assert (account.name, account.is_active, account.pan) == ("Acme Ltd", False, "AAAPZ9998Z")

    @pytest.mark.parametrize("changes", [{}, {"name": "Acme"}, {"code": "OTHER"}, {"event_seq": 7}])
    def test_a_change_of_nothing_is_refused(self, changes):
        account = opened()
        with pytest.raises(Invalid):
            change_account(account.pk, changes=changes, **by())
        assert chain_of(account) == ["ACCOUNT_OPENED"]

    def test_a_change_obeys_the_same_rules(self):
        with pytest.raises(Invalid) as refusal:
            change_account(opened().pk, changes={"pan": "", "products": ["X"]}, **by())
        assert pointers(refusal) == ["/products", "/pan"]

    def test_the_house_is_not_a_trading_account(self, operator):
        house = Account.objects.get(kind="HOUSE")
        for refused in (
            lambda: change_account(house.pk, changes={"name": "x"}, **by()),
            lambda: grant_membership(house.pk, member=operator, role="TRADER", **by()),
            lambda: register_algo(house.pk, algo_id="A", name="x", **by()),
        ):
            with pytest.raises(NotFound):
                refused()


class TestMemberships:
    def test_granting_opens_the_account_and_revoking_closes_it(self, outsider, operator):
        account = opened()
        assert account not in accounts_visible_to(outsider)
        grant_membership(account.pk, member=outsider, role="VIEWER", **by(operator))
        assert account in accounts_visible_to(outsider)
        assert account not in accounts_to_trade(outsider)
        grant_membership(account.pk, member=outsider, role="TRADER", **by(operator))
        assert account in accounts_to_trade(outsider)
        assert Membership.objects.filter(account=account).count() == 1
        revoke_membership(account.pk, member=outsider, **by(operator, "left"))
        assert account not in accounts_visible_to(outsider)
        granted = ["MEMBERSHIP_GRANTED"] * 2
        assert chain_of(account) == ["ACCOUNT_OPENED", *granted, "MEMBERSHIP_REVOKED"]
        moves = [(e.data.get("from"), e.data.get("to")) for e in account_events(account.pk)][1:]
        assert moves == [("", "VIEWER"), ("VIEWER", "TRADER"), ("TRADER", "")]
        assert account_events(account.pk).last().data["username"] == "outsider"

    def test_what_is_refused(self, trader, account, outsider):
        outsider.is_active = False
        for given, wrong in (
            ({"role": "OWNER"}, ["/role"]),
            ({"reason": ""}, ["/reason"]),
            ({"member": outsider}, ["/member"]),
            ({"member": trader}, []),
        ):
            with pytest.raises(Invalid) as refusal:
                grant_membership(account.pk, **{"member": trader, "role": "TRADER"} | by() | given)
            assert pointers(refusal) == wrong, given
        with pytest.raises(NotFound):
            revoke_membership(account.pk, member=outsider, **by())
        with pytest.raises(NotFound):
            grant_membership(999_999, member=trader, role="VIEWER", **by())
        assert chain_of(account) == ["CAPITAL_DEPOSITED"]


class TestAlgos:
    def test_registered_and_suspended(self, operator):
        account = opened()
        algo = register_algo(account.pk, algo_id="A-1", name="Momentum", version="1", **by(operator))
        change_algo(algo.pk, changes={"status": "SUSPENDED", "version": "2"}, **by(operator, "misbehaves"))
        algo.refresh_from_db()
        assert (algo.status, algo.version) == ("SUSPENDED", "2")
        assert chain_of(account) == ["ACCOUNT_OPENED", "ALGO_REGISTERED", "ALGO_CHANGED"]
        data = account_events(account.pk).last().data
        assert data == {
            "algo_id": "A-1", "from": {"status": "ACTIVE", "version": "1"},
            "to": {"status": "SUSPENDED", "version": "2"}, "reason": "misbehaves",
        }  # fmt: skip

    def test_what_is_refused(self):
        account = opened()
        algo = register_algo(account.pk, algo_id="A-1", name="Momentum", **by())
        for refused, wrong in (
            (lambda: register_algo(account.pk, algo_id="A-1", name="Again", **by()), ["/algo_id"]),
            (lambda: register_algo(account.pk, algo_id="", name="", category="GREY", **by()),
             ["/algo_id", "/name", "/category"]),
            (lambda: change_algo(algo.pk, changes={"status": "GONE"}, **by()), ["/status"]),
            (lambda: change_algo(algo.pk, changes={"status": "SUSPENDED"}, **by(reason=" ")), ["/reason"]),
            (lambda: change_algo(algo.pk, changes={"algo_id": "B"}, **by()), []),
            (lambda: change_algo(0, changes={"name": "B"}, **by()), []),
        ):  # fmt: skip
            with pytest.raises(DomainError) as refusal:
                refused()
            assert pointers(refusal) == wrong
        assert AlgoRegistration.objects.get().status == "ACTIVE"
        assert chain_of(account) == ["ACCOUNT_OPENED", "ALGO_REGISTERED"]
