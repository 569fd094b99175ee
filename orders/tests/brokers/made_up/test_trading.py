"""A broker that is not Kite trades through the whole stack: login, names, placing, polls, postbacks, changes, the end."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.urls import reverse

from compliance.acting import actor_of
from ledger.market.prices import get_prices
from ledger.models import BrokerInstrument, Instrument, Position
from ledger.selectors import trial_balance
from ledger.services.instruments import sync_instruments
from oms.lib.clock import now
from oms.lib.errors import Invalid
from orders import tasks
from orders.brokers.registry import broker_for
from orders.gateway import logins
from orders.gateway.market_data import refresh_prices, welcome_session
from orders.gateway.sending import drain
from orders.gateway.watching import look_at_hinted, poll
from orders.models import Amendment, BrokerAccount, BrokerMessage
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.broker_accounts import add_broker_account
from orders.services.broker_sessions import expire_due_sessions
from orders.services.resolution import COMPLETE_MISSES
from orders.services.submission import answer_place, claim_orders
from orders.tests.brokers.made_up.house import SECRET
from orders.tests.factories import TRADER, fresh, place
from orders.types import Modification, Side, Unconfirmed

pytestmark = pytest.mark.django_db
CALLBACK, POSTBACK = "/api/v1/broker/madeup/callback", "/api/v1/broker/madeup/postback"


@pytest.fixture(autouse=True)
def _books_balance(made_up_account):
    yield
    assert trial_balance() == []


@pytest.fixture
def logged_in(made_up_account, operator, client):
    """The account after an operator's login through the browser and what is done after each."""
    client.force_login(operator)
    assert back(client, begin(made_up_account, operator, client)).status_code == 302
    welcome_session(made_up_account.pk)
    return BrokerAccount.objects.get(pk=made_up_account.pk)


def begin(account, operator, client):
    """The state of a login that this browser began."""
    request = client.get("/admin/").wsgi_request
    url = logins.begin_login(account.pk, user=operator, actor=actor_of(request), reason="Start of the day")
    assert url.startswith("https://login.made-up.example/enter?key=mu-key&back=")
    return url.partition("back=")[2].replace("%3A", ":")


def back(client, state, path=CALLBACK):
    return client.get(path, {"grant": "grant-1", "back": state})


def sent(**given):
    order = place(**given)
    drain(order.broker_account_id)
    return fresh(order)


def seen(order):
    poll(order.broker_account_id)
    return fresh(order)


class TestItsRules:
    def test_its_rates_are_its_own_unless_an_operator_says_otherwise(self, made_up_account, account):
        rates = ("orders_per_second", "orders_per_minute", "orders_per_day", "modifications_per_order")
        assert [getattr(made_up_account, name) for name in rates] == [7, 300, 2000, 9]
        fields = {
            "name": "Slow", "kind": "MADEUP", "root_url": "https://slow.example", "client_id": "S", "api_key": "k",
            "api_secret": "s", "orders_per_second": 3, "orders_per_minute": None,
        }  # fmt: skip
        slow = add_broker_account(account.pk, fields=fields, user=None, actor=TRADER, at=now(), reason="slower")
        assert (slow.orders_per_second, slow.orders_per_minute) == (3, 300)

    @pytest.mark.parametrize(
        ("given", "wrong"),
        [({"root_url": "http://api.made-up.example"}, "/root_url"), ({"trading_hours": "ALWAYS"}, "/trading_hours")],
    )
    def test_its_money_is_real(self, account, given, wrong):
        fields = {
            "name": "Other", "kind": "MADEUP", "root_url": "https://x.example", "client_id": "X", "api_key": "k",
            "api_secret": "s",
        }  # fmt: skip
        with pytest.raises(Invalid) as refusal:
            add_broker_account(account.pk, fields=fields | given, user=None, actor=TRADER, at=now(), reason="why")
        assert {error.pointer for error in refusal.value.errors} == {wrong}

    def test_a_session_ends_at_its_own_hour(self, logged_in):
        half_past_three = datetime(2026, 11, 20, 22, tzinfo=UTC)
        assert (logged_in.session_expires_at, logged_in.session_message) == (half_past_three, "")
        assert expire_due_sessions(at=half_past_three - timedelta(seconds=1)) == []
        assert expire_due_sessions(at=half_past_three) == [logged_in.pk]
        assert "03:30 IST" in BrokerAccount.objects.get(pk=logged_in.pk).session_message

    def test_nobody_logs_in_by_itself_where_money_is_real(self, made_up_account):
        logins.keep_sessions(at=now())
        assert BrokerAccount.objects.get(pk=made_up_account.pk).session_state == "CLOSED"

    def test_an_operator_adds_it_in_the_dialog_and_leaves_its_rates_to_it(self, made_up_account, operator, client):
        client.force_login(operator)
        fields = {
            "_form_submitted": "on", "reason": "a second login", "account": made_up_account.default_account_id,
            "name": "Second", "kind": "MADEUP", "trading_hours": "EXCHANGE", "client_id": "MU8", "api_key": "k",
            "api_secret": "s", "root_url": "https://api.made-up.example",
        }  # fmt: skip
        address = reverse("admin:orders_brokeraccount_add_broker_account")
        assert "HX-Redirect" in client.post(address, fields, headers={"HX-Request": "true"}).headers
        second = BrokerAccount.objects.get(name="Second")
        assert (second.kind, second.orders_per_second, second.session_state) == ("MADEUP", 7, "CLOSED")
        assert b"Made-up Broker" in client.get(reverse("admin:orders_brokeraccount_changelist")).content


class TestLoggingIn:
    def test_its_page_sends_people_back_to_its_own_address(self, logged_in):
        assert (logged_in.session_state, logged_in.access_token) == ("OPEN", "pass-1")

    def test_a_login_begun_there_ends_at_no_other_broker(self, made_up_account, operator, client):
        client.force_login(operator)
        state = begin(made_up_account, operator, client)
        query = {"status": "success", "request_token": "grant-1", "state": state}
        answer = client.get("/api/v1/broker/kite/callback", query)
        assert answer.status_code == 400
        assert b"another broker" in answer.content

    def test_a_broker_that_nobody_registered_has_no_address(self, operator, client):
        client.force_login(operator)
        assert client.get("/api/v1/broker/nobody/callback").status_code == 404
        assert client.post("/api/v1/broker/MADEUP/postback", b"", content_type="text/plain").status_code == 404

    def test_a_page_that_granted_nothing_logs_nobody_in(self, made_up_account, operator, client):
        client.force_login(operator)
        assert b"granted nothing" in client.get(CALLBACK, {"back": "x"}).content


class TestNames:
    def test_its_spelling_is_the_houses_instrument(self, logged_in):
        rows = BrokerInstrument.objects.filter(kind="MADEUP").order_by("symbol")
        assert list(rows.values_list("symbol", "token", "instrument__symbol")) == [
            ("NIFTY-DEC-F", "F9", "NIFTY26DECFUT"), ("ONLYHERE", "E2", "ONLYHERE"), ("SBIN-A", "E1", "SBIN"),
        ]  # fmt: skip
        assert Instrument.objects.count() == 3

    def test_neither_dump_retires_what_the_other_lists(self, logged_in, house):
        house.listed = house.listed[2:]
        BrokerAccount.objects.update(instruments_at=None)
        welcome_session(logged_in.pk)
        assert set(Instrument.objects.filter(is_tradable=True).values_list("symbol", flat=True)) == {
            "SBIN", "NIFTY26DECFUT", "ONLYHERE",
        }  # fmt: skip

    def test_each_kind_of_broker_is_asked_for_its_own_list_once_a_day(self, logged_in, broker_account, monkeypatch):
        asked = []
        monkeypatch.setattr(tasks.welcome_session, "apply_async", asked.extend)
        tasks.refresh_instruments()
        assert asked == [broker_account.pk], "the made-up broker's was read after its login, the paper exchange's not"
        BrokerAccount.objects.filter(kind="MADEUP").update(instruments_at=now() - timedelta(days=1))
        tasks.refresh_instruments()
        assert asked == [broker_account.pk, broker_account.pk, logged_in.pk]

    def test_an_empty_list_is_asked_for_again(self, logged_in, house):
        house.listed = []
        BrokerAccount.objects.update(instruments_at=None)
        welcome_session(logged_in.pk)
        assert BrokerAccount.objects.get(pk=logged_in.pk).instruments_at is None
        assert Instrument.objects.filter(is_tradable=True).count() == 3

    def test_what_was_held_there_is_opened_under_the_houses_name(self, logged_in):
        position = Position.objects.get()
        assert (position.instrument.symbol, position.quantity, position.average_price) == ("SBIN", 7, D("900.5"))

    def test_prices_come_under_the_houses_name(self, logged_in):
        assert refresh_prices(logged_in.pk) == 3
        future = Instrument.objects.get(symbol="NIFTY26DECFUT")
        assert get_prices([future.pk], at=now())[future.pk].price == 26000

    def test_the_names_are_read_once_a_day_and_then_known_to_every_client(self, logged_in, house):
        before = broker_for(logged_in)
        house.listed.append(house.listed[0] | {"ins": "INFY-A", "tok": "E7", "number": 1594})
        welcome_session(logged_in.pk)
        assert not BrokerInstrument.objects.filter(token="E7").exists()
        BrokerAccount.objects.update(instruments_at=now() - timedelta(days=1))
        welcome_session(logged_in.pk)
        assert BrokerInstrument.objects.filter(token="E7").exists()
        assert broker_for(BrokerAccount.objects.get(pk=logged_in.pk)) is not before


class TestTrading:
    def test_an_order_goes_out_in_its_words_and_comes_back_in_ours(self, logged_in, house, portfolio):
        order = sent(price=D(990))
        assert (order.state, order.broker_order_id) == ("ACKED", "MU-1")
        slip = house.slips["MU-1"]
        assert (slip["ins"], slip["tok"], slip["bs"], slip["px"]) == ("SBIN-A", "E1", "take", "990.0000")
        assert seen(order).state == "OPEN"
        house.deal("MU-1", 4, "989.95")
        house.deal("MU-1", 6, "990")
        order = seen(order)
        assert (order.state, order.filled_quantity, order.filled_value) == ("FILLED", 10, D("9899.80"))
        assert order.symbol == "SBIN"
        assert Position.objects.get(instrument__symbol="SBIN").quantity == 17

    def test_a_future_spelled_otherwise_is_one_position(self, logged_in, house):
        order = sent(exchange="NFO", symbol="NIFTY26DECFUT", product="NRML", quantity=D(75), price=D(26000))
        assert house.slips[order.broker_order_id]["ins"] == "NIFTY-DEC-F"
        house.deal(order.broker_order_id, 75, "25990")
        assert seen(order).state == "FILLED"
        sold = sent(
            exchange="NFO", symbol="NIFTY26DECFUT", product="NRML", quantity=D(75), price=D(26000), side=Side.SELL
        )
        house.deal(sold.broker_order_id, 75, "26010")
        assert seen(sold).state == "FILLED"
        assert Position.objects.get(instrument__symbol="NIFTY26DECFUT").quantity == 0

    def test_a_postback_in_its_own_form_has_the_order_read(self, logged_in, house, client):
        order = seen(sent())
        house.deal(order.broker_order_id, 10, "1000")
        body, seal = house.postback(order.broker_order_id)
        for wrong in ({"X-Seal": "no"}, house.postback(order.broker_order_id, secret="guessed")[1], {}):
            assert client.post(POSTBACK, body, content_type="text/plain", headers=wrong).status_code == 403
        assert client.post(POSTBACK, "nothing", content_type="text/plain", headers=seal).status_code == 400
        assert client.post(POSTBACK, body, content_type="text/plain", headers=seal).status_code == 200
        look_at_hinted(logged_in.pk)
        assert fresh(order).state == "FILLED"
        assert BrokerMessage.objects.filter(order=order, source="POSTBACK").exists()
        assert SECRET not in str(BrokerMessage.objects.values_list("raw", flat=True))

    def test_a_change_waits_until_its_hands_are_free(self, logged_in, house):
        order = seen(sent())
        request_modify(order.pk, Modification(price=D(995)), actor=TRADER, at=now(), user=None)
        house.busy_for = 1
        drain(logged_in.pk)
        order = seen(order)
        assert (order.price, Amendment.objects.get().state) == (995, "CONFIRMED")
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        drain(logged_in.pk)
        assert seen(order).state == "CANCELED"

    def test_what_it_turns_down_is_rejected_with_its_words(self, logged_in, house, portfolio):
        house.listed = []
        order = sent()
        assert (order.state, order.rejection_reason) == ("REJECTED", "Nobody here trades E1")
        portfolio.refresh_from_db()
        assert portfolio.reserved == 0

    def test_when_it_closes_the_door_orders_wait_for_a_login(self, logged_in, house):
        house.passes.clear()
        order = sent()
        assert (order.state, order.rejection_code) == ("REJECTED", "SESSION_EXPIRED")
        assert BrokerAccount.objects.get(pk=logged_in.pk).session_state == "EXPIRED"
        assert sent().state == "CREATED"

    @pytest.mark.usefixtures("misses_at_once")
    def test_what_its_slow_book_does_not_show_yet_is_not_lost(self, logged_in, house, time_machine):
        order = place()
        claim_orders(logged_in.pk, limit=1, at=now())
        answer_place(order.pk, Unconfirmed("no answer"), at=now())
        for seconds, state in ((19, "UNKNOWN"), (21, "LOST")):
            time_machine.move_to(order.created_at + timedelta(seconds=seconds), tick=False)
            for _ in range(COMPLETE_MISSES + 1):
                order = seen(order)
            assert order.state == state

    def test_another_brokers_dump_changes_none_of_this(self, logged_in, house):
        sync_instruments("KITE", [], at=now())
        assert sent().state == "ACKED"
