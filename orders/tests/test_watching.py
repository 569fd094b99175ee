"""Watching a real paper exchange: partial fills, books that lag, orders from elsewhere, and one poll at a time."""

import threading
from datetime import timedelta
from decimal import Decimal as D

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compliance.models import Alert
from ledger.market.prices import get_prices
from ledger.models import Instrument, Position
from ledger.selectors import trial_balance
from oms.lib.clock import now
from orders.gateway import watching
from orders.gateway.attendance import Attendance, Work
from orders.gateway.logins import auto_login
from orders.gateway.market_data import refresh_prices, welcome_session
from orders.gateway.sending import drain
from orders.gateway.watching import MANY_HINTS, POLL_LOCK, look, poll
from orders.models import BrokerAccount, BrokerMessage, Order
from orders.services.amendments.asking import request_cancel
from orders.services.resolution import COMPLETE_MISSES, MISSES_APART
from orders.tests.brokers.paper.process import wait_for
from orders.tests.factories import TRADER, fresh, place

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(paper):
    yield
    assert trial_balance() == []


def until(order, wanted):
    def look():
        poll(order.broker_account_id)
        return fresh(order)

    return wait_for(look, wanted)


def sent(**given):
    order = place(**given)
    drain(order.broker_account_id)
    return fresh(order)


def elsewhere(paper, **changes):
    """An order placed with the broker's own app."""
    account = BrokerAccount.objects.get()
    form = {
        "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "quantity": 5, "product": "CNC",
        "order_type": "LIMIT", "price": 1010, "validity": "DAY",
    }  # fmt: skip
    answer = httpx.post(
        f"{paper.root}/orders/regular", data={**form, **changes}, trust_env=False,
        headers={"X-Kite-Version": "3", "Authorization": f"token paper:{account.access_token}"},
    )  # fmt: skip
    return answer.json()["data"]["order_id"]


def test_partial_fills_as_the_market_trades(paper):
    paper.control("POST", "/prices", {"NSE:SBIN": {"volume_per_tick": 4}})
    order = until(sent(quantity=D(10), price=D(1010)), lambda seen: seen.filled_quantity == 4)
    assert order.state == "PARTIALLY_FILLED"
    paper.control("POST", "/tick", {"count": 1})
    order = until(order, lambda seen: seen.filled_quantity == 8)
    paper.control("POST", "/tick", {"count": 1})
    order = until(order, lambda seen: seen.state == "FILLED")
    assert Position.objects.get().quantity == 10
    assert order.executions.filter(reverses=None, reversed_by=None, is_inferred=False).count() == 3


def test_a_stale_book_takes_no_fill_back(paper):
    order = until(sent(price=D(950)), lambda seen: seen.state == "OPEN")
    paper.control("POST", "/faults", {"kind": "stale_book", "seconds": 600})
    paper.control("POST", "/prices", {"NSE:SBIN": {"last_price": 940}})
    wait_for(lambda: paper.control("GET", f"/orders?tag={order.tag}"), lambda rows: rows[0]["status"] == "COMPLETE")
    look(order.broker_account_id, [order.broker_order_id])  # the order itself is read fresh
    order = fresh(order)
    assert (order.state, order.filled_quantity) == ("FILLED", 10)
    for _ in range(3):
        poll(order.broker_account_id)
    assert (fresh(order).state, fresh(order).filled_quantity) == ("FILLED", 10)
    assert Position.objects.get().quantity == 10


def test_trades_ahead_of_the_book_and_a_book_ahead_of_the_trades(paper):
    order = sent(price=D(1010))
    paper.control("POST", "/faults", {"kind": "stale_book", "seconds": 600})
    wait_for(lambda: paper.control("GET", f"/orders?tag={order.tag}"), lambda rows: rows[0]["status"] == "COMPLETE")
    order = until(order, lambda seen: seen.filled_quantity == 10)
    assert order.state == "FILLED"
    paper.control("DELETE", "/faults")
    poll(order.broker_account_id)
    assert order.executions.count() == 1


def test_a_hint_reads_one_order(paper):
    order = sent(price=D(1010))
    wait_for(lambda: paper.control("GET", f"/orders?tag={order.tag}"), lambda rows: rows[0]["status"] == "COMPLETE")
    look(order.broker_account_id, [order.broker_order_id])
    assert fresh(order).state == "FILLED"
    assert BrokerMessage.objects.filter(source="POSTBACK").count() == 1


def test_a_fault_of_the_adapter_in_one_look_costs_not_the_others(paper, monkeypatch):
    good, bad = (sent(price=D(1010)) for _ in range(2))
    wait_for(lambda: paper.control("GET", "/orders"), are_complete)
    real = watching.broker_for(good.broker_account).order

    def order(broker_order_id):
        if broker_order_id == bad.broker_order_id:
            raise AttributeError("a row that nobody expected")
        return real(broker_order_id)

    monkeypatch.setattr(watching.broker_for(good.broker_account), "order", order)
    look(good.broker_account_id, [bad.broker_order_id, good.broker_order_id])
    assert (fresh(good).state, fresh(bad).state) == ("FILLED", "ACKED")


def test_a_hint_for_what_is_not_there_is_nothing(paper, broker_account):
    look(broker_account.pk, ["9" * 19])
    assert not Order.objects.exists()


def test_an_order_from_elsewhere_is_adopted_with_its_position(paper, broker_account, account):
    broker_order_id = elsewhere(paper)
    wait_for(
        lambda: (poll(broker_account.pk), list(Order.objects.all()))[1],
        lambda orders: orders and orders[0].state == "FILLED",
    )
    order = Order.objects.get()
    assert (order.origin, order.broker_order_id, order.account) == ("EXTERNAL", broker_order_id, account)
    assert Position.objects.get().quantity == 5
    assert Alert.objects.get(kind="EXTERNAL_ORDER").order_id == order.pk
    poll(broker_account.pk)
    assert Order.objects.count() == 1


def test_a_cancelled_order_that_fills_all_the_same_is_booked_and_alarms(paper):
    order = until(sent(price=D(950)), lambda seen: seen.state == "OPEN")
    paper.control("POST", "/faults", {"kind": "cancelled_then_filled", "calls": 1, "seconds": 0.3})
    request_cancel(order.pk, actor=TRADER, at=now(), user=None)
    drain(order.broker_account_id)
    until(order, lambda seen: seen.state == "CANCELED")
    order = until(order, lambda seen: seen.filled_quantity == 10)
    assert order.state == "FILLED"
    assert Alert.objects.get(kind="LATE_FILL").severity == "CRITICAL"
    assert Position.objects.get().quantity == 10


@pytest.mark.usefixtures("misses_at_once")
def test_an_order_of_yesterday_that_is_gone_expires(paper):
    order = until(sent(price=D(950)), lambda seen: seen.state == "OPEN")
    paper.control("POST", "/clock", {"now": "2026-11-23T11:00:00"})  # Monday: the book was emptied over the weekend
    Order.objects.update(trade_date=order.trade_date - timedelta(days=1), sent_at=order.sent_at - timedelta(days=1))
    poll(order.broker_account_id)
    assert BrokerAccount.objects.get().session_state == "EXPIRED", "the token of Friday is dead"
    auto_login(order.broker_account_id, at=now())
    for _ in range(COMPLETE_MISSES):
        assert fresh(order).state == "OPEN"
        poll(order.broker_account_id)
    assert fresh(order).state == "EXPIRED"


def test_polls_that_hints_make_one_after_the_other_do_not_lose_an_order_in_no_time(paper, broker_account):
    paper.control("POST", "/faults", {"kind": "drop", "calls": 1})
    order = sent(price=D(950))
    assert order.state == "UNKNOWN"
    long_ago = order.sent_at - timedelta(minutes=1)
    Order.objects.update(sent_at=long_ago, updated_at=long_ago)
    begun_at, at_work = now(), Attendance(Work.LOOKING, broker_account.pk)
    for _ in range(COMPLETE_MISSES + 1):
        for number in range(MANY_HINTS):
            at_work.ring(str(number))
        assert watching._look_once(at_work)
    assert 1 <= fresh(order).complete_misses <= 1 + (now() - begun_at) / MISSES_APART
    assert BrokerAccount.objects.get().poll_message == ""


class TestOnePollAtATime:
    def test_while_another_runs_this_one_does_nothing(self, paper, broker_account):
        held, done = threading.Event(), threading.Event()

        def other():
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_lock(%s, %s)", [POLL_LOCK, broker_account.pk])
                    held.set()
                    done.wait(10)
            finally:
                connection.close()

        thread = threading.Thread(target=other)
        thread.start()
        assert held.wait(10)
        assert poll(broker_account.pk) is False
        assert BrokerAccount.objects.get().polled_at is None
        done.set()
        thread.join(10)
        wait_for(lambda: poll(broker_account.pk), bool)
        assert BrokerAccount.objects.get().polled_at is not None

    def test_without_a_session_nobody_is_asked(self, paper, broker_account):
        BrokerAccount.objects.update(session_state="CLOSED", root_url="http://127.0.0.1:9")
        assert poll(broker_account.pk) is True
        assert BrokerAccount.objects.get().poll_message == ""
        look(broker_account.pk, ["1"])
        assert refresh_prices(broker_account.pk) == 0

    def test_a_broker_that_is_away_is_seen(self, paper, broker_account):
        BrokerAccount.objects.update(root_url="http://127.0.0.1:9")
        poll(broker_account.pk)
        account = BrokerAccount.objects.get()
        assert account.poll_message
        assert account.polled_at is None
        assert account.session_state == "OPEN"

    def test_a_poll_that_fails_by_our_own_fault_stops_the_sending_and_is_seen(self, paper, broker_account, monkeypatch):
        order = place(price=D(950))
        with monkeypatch.context() as patch:
            patch.setattr("orders.gateway.watching.awaited", _break)
            assert poll(broker_account.pk) is True
        assert BrokerAccount.objects.get().poll_message == "ArithmeticError: a fault of ours"
        drain(broker_account.pk)
        assert fresh(order).state == "CREATED"
        poll(broker_account.pk)
        drain(broker_account.pk)
        assert fresh(order).state == "ACKED"


def _break(*_args, **_kwargs):
    raise ArithmeticError("a fault of ours")


def test_prices_and_bands_come_from_quotes(paper, broker_account, sbin):
    assert refresh_prices(broker_account.pk) >= 1
    assert get_prices([sbin.pk], at=now())[sbin.pk].price == 1000
    assert Instrument.objects.get(pk=sbin.pk).upper_circuit is not None


def test_a_login_brings_the_days_instruments_and_what_was_held(paper, broker_account, account):
    welcome_session(broker_account.pk)
    assert Instrument.objects.count() > 200
    holdings = {f"{p.instrument}": p.quantity for p in Position.objects.select_related("instrument")}
    assert holdings
    assert all(quantity > 0 for quantity in holdings.values())
    welcome_session(broker_account.pk)
    assert {f"{p.instrument}": p.quantity for p in Position.objects.select_related("instrument")} == holdings


class TestWhatAPollCosts:
    """However long the day's book is, a poll that finds nothing new asks next to nothing of the database."""

    @pytest.fixture
    def filled(self, paper):
        orders = [sent(quantity=D(1), price=D(1010 + n)) for n in range(5)]
        resting = sent(price=D(950))
        until(resting, lambda seen: seen.state == "OPEN")
        for order in orders:
            until(order, lambda seen: seen.state == "FILLED")
        poll(resting.broker_account_id)
        return orders, resting

    def test_a_handful_of_statements_when_nothing_is_new(self, filled, broker_account, django_assert_max_num_queries):
        with django_assert_max_num_queries(6):
            poll(broker_account.pk)

    def test_news_are_seen_by_a_process_that_knows_the_book_and_by_one_that_was_just_started(self, paper, filled):
        _, resting = filled
        paper.control("POST", "/prices", {"NSE:SBIN": {"last_price": 940}})
        resting = until(resting, lambda seen: seen.state == "FILLED")
        assert resting.filled_quantity == 10
        watching._known.clear()
        poll(resting.broker_account_id)
        assert fresh(resting).filled_quantity == 10
        assert Position.objects.get().quantity == 15

    def test_a_cancel_is_confirmed_though_the_row_was_seen_before(self, filled):
        _, resting = filled
        request_cancel(resting.pk, actor=TRADER, at=now(), user=None)
        drain(resting.broker_account_id)
        until(resting, lambda seen: seen.state == "CANCELED")

    def test_many_hinted_orders_are_looked_at_in_the_statements_of_one(self, paper, broker_account):
        counts = []
        for number in (1, 2, 8):  # the first one makes the position
            orders = [sent(quantity=D(1), price=D(1010)) for _ in range(number)]
            wait_for(lambda: paper.control("GET", "/orders"), are_complete)
            with CaptureQueriesContext(connection) as queries:
                look(broker_account.pk, [order.broker_order_id for order in orders])
            assert {fresh(order).state for order in orders} == {"FILLED"}
            counts.append(len(queries))
        # A transaction's ends may fall apart on a busy machine; six orders more would cost six more, were it each.
        assert max(counts) <= min(counts) + 2 <= 25, counts


def are_complete(rows):
    return {one["status"] for one in rows} == {"COMPLETE"}
