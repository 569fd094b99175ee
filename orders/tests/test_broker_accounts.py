"""Adding broker accounts and routing accounts to them: who may, what is refused, what the chain says."""

import pytest
from django.db import connection

from compliance.selectors import account_events
from compliance.verification import verify_chain
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import Conflict, Forbidden, Invalid, NotFound
from orders.models import BrokerAccount, Routing
from orders.services.broker_accounts import add_broker_account
from orders.services.routing import change_routing
from orders.tests.factories import place, see, send
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db

SECRET = "a-secret-that-nobody-may-read"
KITE = {
    "name": "Zerodha", "kind": "KITE", "root_url": "https://api.kite.trade/", "client_id": "AB1234", "api_key": "key",
    "api_secret": SECRET, "egress_address": "203.0.113.7",
}  # fmt: skip


def by(user=None, reason="a second broker"):
    return {"user": user, "actor": SYSTEM, "at": now(), "reason": reason}


def added(account, user=None, reason="a second broker", **given):
    return add_broker_account(account.pk, fields=KITE | given, **by(user, reason))


def last_event(account):
    """The last event of an account's chain, after proving that the chain is whole."""
    account.refresh_from_db()
    events = list(account_events(account.pk))
    assert verify_chain(events, head=account.event_hash).ok
    return events[-1]


class TestAdding:
    def test_it_begins_logged_out_at_the_brokers_own_rates(self, account, operator):
        broker = added(account, operator)
        assert (broker.session_state, broker.access_token, broker.root_url) == ("CLOSED", "", "https://api.kite.trade")
        assert (broker.orders_per_second, broker.orders_per_day) == (10, 5000)
        event = last_event(account)
        assert event.event_type == "BROKER_ACCOUNT_ADDED"
        assert (event.data["client_id"], event.data["default_account"]) == ("AB1234", "DEMO")
        assert SECRET not in bytes(event.c14n).decode()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT position(%s::bytea in api_secret::bytea) FROM orders_brokeraccount", [SECRET.encode()]
            )
            assert {row for (row,) in cursor.fetchall()} == {0}

    @pytest.mark.parametrize(
        ("given", "wrong"),
        [
            ({"kind": "BANK"}, {"/kind"}),
            ({"root_url": "nowhere"}, {"/root_url"}),
            ({"root_url": "http://api.kite.trade"}, {"/root_url"}),
            ({"trading_hours": "ALWAYS"}, {"/trading_hours"}),
            ({"api_secret": "", "client_id": "", "name": ""}, {"/api_secret", "/client_id", "/name"}),
            ({"egress_address": "here"}, {"/egress_address"}),
            ({"orders_per_second": 0}, {"/orders_per_second"}),
            ({"orders_per_day": -1}, {"/orders_per_day"}),
            ({"reason": ""}, {"/reason"}),
            ({"root_url": "http://127.0.0.1:9", "client_id": "PX0001", "kind": "PAPER"}, {"/client_id"}),
        ],
    )
    def test_what_is_wrong_is_named(self, account, given, wrong):
        with pytest.raises(Invalid) as refusal:
            added(account, **given)
        assert {error.pointer for error in refusal.value.errors} == wrong
        assert BrokerAccount.objects.count() == 1

    def test_a_name_is_given_once(self, account):
        with pytest.raises(Conflict) as refusal:
            added(account, name="Paper")
        assert [error.pointer for error in refusal.value.errors] == ["/name"]

    def test_what_the_session_owns_is_not_given(self, account):
        broker = added(account, access_token="mine", session_state="OPEN")
        assert (broker.access_token, broker.session_state) == ("", "CLOSED")

    def test_only_operators(self, account, trader, officer):
        for user in (trader, officer):
            with pytest.raises(Forbidden):
                added(account, user)


class TestRouting:
    def test_orders_take_the_new_way(self, account, trader, sbin, operator, broker_account):
        second = added(account, kind="PAPER", trading_hours="ALWAYS", root_url="http://127.0.0.1:10")
        change_routing(account.pk, broker_account_id=second.pk, **by(operator, "moved"))
        assert place(user=trader).broker_account == second
        event = next(e for e in account_events(account.pk) if e.event_type == "ROUTING_CHANGED")
        assert event.data == {"from": "Paper", "to": "Zerodha", "client_id": "AB1234", "reason": "moved"}
        assert last_event(account) == event

    def test_an_account_without_a_way_gets_one(self, account, other_account):
        Routing.objects.filter(account=other_account).delete()
        change_routing(other_account.pk, broker_account_id=added(account).pk, **by())
        assert last_event(other_account).data["from"] == ""

    def test_not_while_orders_live(self, account, trader, sbin):
        second = added(account)
        order = see(send(place(user=trader)), BrokerStatus.OPEN)
        with pytest.raises(Conflict, match="not over: 1"):
            change_routing(account.pk, broker_account_id=second.pk, **by())
        assert account.routing.broker_account.name == "Paper"
        see(order, BrokerStatus.CANCELLED)
        change_routing(account.pk, broker_account_id=second.pk, **by())
        assert Routing.objects.get(account=account).broker_account == second

    def test_what_is_refused(self, account, trader, officer, broker_account):
        for user in (trader, officer):
            with pytest.raises(Forbidden):
                change_routing(account.pk, broker_account_id=broker_account.pk, **by(user))
        with pytest.raises(NotFound):
            change_routing(account.pk, broker_account_id=0, **by())
        with pytest.raises(NotFound):
            change_routing(0, broker_account_id=broker_account.pk, **by())
        with pytest.raises(Invalid, match="already"):
            change_routing(account.pk, broker_account_id=broker_account.pk, **by())
        with pytest.raises(Invalid, match="not valid"):
            change_routing(account.pk, broker_account_id=added(account).pk, **by(reason=" "))
        assert account.routing.broker_account == broker_account
