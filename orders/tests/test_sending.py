"""Sending to a real paper exchange: what arrives there, once, whatever becomes of the answers."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db.models import F

from compliance.models import Alert
from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.selectors import trial_balance
from oms.lib.clock import now
from orders.gateway.logins import auto_login
from orders.gateway.sending import drain
from orders.gateway.watching import poll
from orders.models import Amendment, BrokerAccount, BrokerMessage, Order
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.resolution import COMPLETE_MISSES
from orders.tests.brokers.paper.process import wait_for
from orders.tests.factories import TRADER, fresh, place
from orders.types import Modification, Side

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance_and_the_exchange_has_no_order_twice(paper):
    yield
    assert trial_balance() == []
    tags = [order["tag"] for order in paper.control("GET", "/orders") if order["tag"]]
    assert sorted(tags) == sorted(set(tags))
    assert set(tags) <= set(Order.objects.values_list("tag", flat=True))
    for order in Order.objects.all():
        assert verify_chain(order_events(order.pk), head=order.event_hash).ok


def until(order, state):
    """Poll until the order is in a state."""

    def look():
        poll(order.broker_account_id)
        return fresh(order)

    return wait_for(look, lambda seen: seen.state == state)


def sent(**given):
    order = place(**given)
    drain(order.broker_account_id)
    return fresh(order)


def fault(paper, kind, **given):
    paper.control("POST", "/faults", {"kind": kind, "calls": 1, "route": "place", **given})


def long_ago():
    """Let the attempts be long enough ago for a complete poll to count."""
    earlier = timedelta(seconds=10)
    unknown = Order.objects.filter(state="UNKNOWN")
    unknown.update(sent_at=F("sent_at") - earlier, updated_at=F("updated_at") - earlier)


def held(portfolio):
    portfolio.refresh_from_db()
    return portfolio.free, portfolio.reserved, portfolio.allocated


class TestWithoutFaults:
    def test_an_order_that_crosses_is_filled_by_polling_alone(self, paper, portfolio):
        order = sent(price=D(1010))
        assert order.state == "ACKED"
        order = until(order, "FILLED")
        assert (order.filled_quantity, order.average_price) == (10, 1000)
        assert held(portfolio) == (1_000_000 - 10_000 - order.charges, 0, 10_000)
        (truth,) = paper.control("GET", f"/orders?tag={order.tag}")
        assert (truth["order_id"], truth["status"]) == (order.broker_order_id, "COMPLETE")

    def test_one_that_does_not_cross_rests_and_is_cancelled(self, paper, portfolio):
        order = until(sent(price=D(950)), "OPEN")
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        assert drain(order.broker_account_id) == 1
        until(order, "CANCELED")
        assert held(portfolio) == (1_000_000, 0, 0)
        assert Amendment.objects.get().state == "CONFIRMED"

    def test_new_terms_count_once_the_book_shows_them(self, paper, portfolio):
        order = until(sent(price=D(950)), "OPEN")
        request_modify(order.pk, Modification(price=D(960), quantity=D(20)), actor=TRADER, at=now(), user=None)
        drain(order.broker_account_id)
        order = wait_for(lambda: until(order, "OPEN"), lambda seen: seen.price == 960)
        assert (order.quantity, order.modifications, Amendment.objects.get().state) == (20, 1, "CONFIRMED")
        paper.control("POST", "/prices", {"NSE:SBIN": {"last_price": 955}})
        order = until(order, "FILLED")
        assert order.filled_quantity == 20

    def test_what_the_exchange_rejects_is_rejected_here_with_its_words(self, paper, portfolio):
        paper.control("POST", "/clients", {"user_id": "PX0001", "cash": 100})
        order = sent(price=D(1010))
        order = until(order, "REJECTED") if order.state != "REJECTED" else order
        assert "margin" in order.rejection_reason.lower() or "fund" in order.rejection_reason.lower()
        assert held(portfolio) == (1_000_000, 0, 0)

    def test_many_at_once_each_arrives_once(self, paper):
        orders = [place(quantity=D(1), price=D(950 + n)) for n in range(10)]
        assert drain(orders[0].broker_account_id) == 10
        assert len(paper.control("GET", "/orders")) == 10
        assert drain(orders[0].broker_account_id) == 0


class TestAnswersThatGetLost:
    @pytest.mark.parametrize(
        ("kind", "more"),
        [("accept_and_drop", {}), ("http_5xx", {"taken": True}), ("html_error", {"taken": True}), ("timed_out", {})],
    )
    def test_the_order_is_there_and_is_found_by_its_tag(self, paper, portfolio, kind, more):
        fault(paper, kind, **more)
        order = sent(price=D(950))
        assert (order.state, order.broker_order_id) == ("UNKNOWN", "")
        assert held(portfolio)[1] > 9500
        order = until(order, "OPEN")
        (truth,) = paper.control("GET", f"/orders?tag={order.tag}")
        assert order.broker_order_id == truth["order_id"]
        assert held(portfolio)[1] > 9500

    @pytest.mark.parametrize("kind", ["drop", "http_5xx", "html_error"])
    @pytest.mark.usefixtures("misses_at_once")
    def test_it_is_not_there_and_is_given_up_after_long_enough(self, paper, portfolio, kind):
        fault(paper, kind)
        order = sent(price=D(950))
        assert order.state == "UNKNOWN"
        long_ago()
        for _ in range(COMPLETE_MISSES - 1):
            poll(order.broker_account_id)
        assert fresh(order).state == "UNKNOWN"
        poll(order.broker_account_id)
        assert fresh(order).state == "LOST"
        assert held(portfolio) == (1_000_000, 0, 0)
        assert paper.control("GET", f"/orders?tag={order.tag}") == []
        assert drain(order.broker_account_id) == 0, "never sent again under the same row"

    @pytest.mark.usefixtures("misses_at_once")
    def test_it_shows_up_after_it_was_given_up(self, paper, portfolio):
        """The broker's book lagged behind for longer than we waited."""
        paper.control("POST", "/faults", {"kind": "stale_book", "seconds": 600})
        fault(paper, "accept_and_drop")
        order = sent(price=D(950))
        long_ago()
        for _ in range(COMPLETE_MISSES):
            poll(order.broker_account_id)
        assert fresh(order).state == "LOST"
        paper.control("DELETE", "/faults")
        order = until(order, "OPEN")
        assert held(portfolio)[1] > 9500

    def test_a_failed_poll_counts_for_nothing_and_is_seen(self, paper):
        fault(paper, "drop")
        order = sent(price=D(950))
        long_ago()
        for route in ("book", "trades"):
            paper.control("POST", "/faults", {"kind": "http_5xx", "route": route})
            poll(order.broker_account_id)
            paper.control("DELETE", "/faults")
        assert fresh(order).complete_misses == 0
        assert BrokerAccount.objects.get().poll_message
        waiting = sent(price=D(951))
        assert waiting.state == "CREATED", "what we could not watch we do not send"
        poll(order.broker_account_id)
        assert BrokerAccount.objects.get().poll_message == ""
        drain(order.broker_account_id)
        assert fresh(waiting).state == "ACKED"


class TestTryingAgain:
    def test_429_is_tried_again_and_arrives_once(self, paper):
        fault(paper, "http_429")
        order = sent(price=D(950))
        assert order.state == "ACKED"
        assert len(paper.control("GET", f"/orders?tag={order.tag}")) == 1

    def test_an_exchange_that_is_away_is_told_from_one_that_does_not_answer(self, paper, portfolio):
        """Connection refused: the order certainly did not leave."""
        BrokerAccount.objects.update(root_url="http://127.0.0.1:9")
        order = sent(price=D(950))
        assert (order.state, order.rejection_code) == ("REJECTED", "NOT_SENT")
        assert held(portfolio) == (1_000_000, 0, 0)
        assert BrokerMessage.objects.get().summary.startswith("NotSent")

    def test_a_cancel_whose_answer_is_lost_is_settled_by_the_book(self, paper):
        order = until(sent(price=D(950)), "OPEN")
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        fault(paper, "accept_and_drop", route="cancel")
        drain(order.broker_account_id)
        until(order, "CANCELED")
        assert Amendment.objects.get().state == "CONFIRMED"

    def test_a_cancel_that_never_arrived_goes_again(self, paper):
        order = until(sent(price=D(950)), "OPEN")
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        fault(paper, "drop", route="cancel")
        drain(order.broker_account_id)
        assert Amendment.objects.get().state == "UNKNOWN"
        Amendment.objects.update(
            updated_at=F("updated_at") - timedelta(seconds=10), sent_at=F("sent_at") - timedelta(seconds=10)
        )
        poll(order.broker_account_id)
        assert (Amendment.objects.get().state, fresh(order).state) == ("QUEUED", "OPEN")
        drain(order.broker_account_id)
        until(order, "CANCELED")
        assert Amendment.objects.get().attempts == 2

    def test_a_modification_that_never_arrived_is_refused_by_a_look_and_gives_back(self, paper, portfolio):
        order = until(sent(price=D(950)), "OPEN")
        before = held(portfolio)
        request_modify(order.pk, Modification(quantity=D(20)), actor=TRADER, at=now(), user=None)
        assert held(portfolio)[1] > before[1]
        fault(paper, "drop", route="modify")
        drain(order.broker_account_id)
        poll(order.broker_account_id)
        assert Amendment.objects.get().state == "UNKNOWN", "a row that shows the old terms may be old itself"
        Amendment.objects.update(
            updated_at=F("updated_at") - timedelta(seconds=10), sent_at=F("sent_at") - timedelta(seconds=10)
        )
        poll(order.broker_account_id)
        assert (Amendment.objects.get().state, fresh(order).quantity) == ("REJECTED", 10)
        assert held(portfolio) == before

    def test_a_modification_whose_answer_is_lost_is_confirmed_by_the_book(self, paper):
        order = until(sent(price=D(950)), "OPEN")
        request_modify(order.pk, Modification(price=D(960)), actor=TRADER, at=now(), user=None)
        fault(paper, "accept_and_drop", route="modify")
        drain(order.broker_account_id)
        wait_for(lambda: until(order, "OPEN"), lambda seen: seen.price == 960)
        assert Amendment.objects.get().state == "CONFIRMED"


class TestTheSession:
    def test_its_end_pauses_and_a_new_login_resumes(self, paper, broker_account):
        """The call that met the dead token was certainly refused; what waits behind it waits on."""
        paper.control("POST", "/faults", {"kind": "token_expiry", "calls": 1})
        poll(broker_account.pk)
        assert BrokerAccount.objects.get().session_state == "EXPIRED"
        assert Alert.objects.get(kind="BROKER_SESSION").closed_at is None
        waiting = [sent(price=D(950)), sent(price=D(951))]
        assert {order.state for order in waiting} == {"CREATED"}
        assert paper.control("GET", "/orders") == []
        auto_login(broker_account.pk, at=now())
        drain(broker_account.pk)
        assert {until(order, "OPEN").state for order in waiting} == {"OPEN"}
        assert Alert.objects.get(kind="BROKER_SESSION").closed_at is not None

    def test_an_order_that_meets_the_dead_token_is_refused_and_says_so(self, paper, portfolio):
        fault(paper, "token_expiry")
        order = sent(price=D(950))
        assert (order.state, order.rejection_code) == ("REJECTED", "SESSION_EXPIRED")
        assert held(portfolio) == (1_000_000, 0, 0)
        assert BrokerAccount.objects.get().session_state == "EXPIRED"
        assert paper.control("GET", "/orders") == []


def test_a_short_sale_is_bought_back(paper, portfolio):
    until(sent(product="MIS", side=Side.SELL, price=D(990)), "FILLED")
    assert held(portfolio)[2] == 2000
    until(sent(product="MIS", price=D(1010)), "FILLED")
    assert held(portfolio)[1:] == (0, 0)
