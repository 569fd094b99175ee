"""How fast orders leave: what one calendar second takes of a client and exchange, who goes first, who must wait."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from compliance.models import AlgoRegistration
from compliance.services.controls import set_kill_switch, set_limits
from ledger.services.holdings import HeldBefore, open_holdings
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.models import Order
from orders.services.amendments.asking import request_cancel
from orders.services.amendments.sending import claim_amendments
from orders.services.submission import claim_orders
from orders.tests.factories import TRADER, place, place_list, request_for, see, send
from orders.types import BrokerStatus, Side

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 20, 5, 0, 0, 900_000, UTC)
LATER = AT + timedelta(milliseconds=100)


@pytest.fixture
def claim(broker_account):
    """What may be sent at an instant, by the notes that name the orders."""

    def claimed(at=AT, limit=100):
        ids = [s.order_id for s in claim_orders(broker_account.pk, limit=limit, at=at)]
        notes = dict(Order.objects.filter(pk__in=ids).values_list("pk", "notes"))
        return [notes[pk] for pk in ids]

    return claimed


def rate(value, scope="HOUSE", **target):
    values = {} if value is None else {"max_orders_per_second": value}
    set_limits(scope, values=values, reason="test", user=None, actor=SYSTEM, at=now(), **target)


def wait_in_line(count, name="", **given):
    """So many orders that wait, named 0, 1, 2 …"""
    requests = [request_for(quantity=D(1), notes=f"{name}{n}", **given) for n in range(count)]
    return [p.order for p in place_list(requests, at=AT)]


def named(*numbers, name=""):
    return [f"{name}{n}" for n in numbers]


def test_a_second_takes_what_the_limit_allows_and_the_next_the_rest(account, sbin, claim):
    wait_in_line(25)
    assert claim() == named(*range(10))
    assert claim() == [], "the second is full"
    assert claim(AT + timedelta(microseconds=99_999)) == [], "to its last microsecond"
    assert claim(LATER) == named(*range(10, 20))
    assert claim(LATER + timedelta(seconds=1)) == named(*range(20, 25))


def test_what_was_taken_before_counts(account, sbin, claim):
    wait_in_line(12)
    assert [*claim(limit=4), *claim(limit=4), *claim(limit=4)] == named(*range(10))


def test_what_waits_keeps_its_capital_and_its_place(account, portfolio, sbin, claim):
    wait_in_line(11)
    claim()
    waiting = Order.objects.get(state="CREATED")
    assert (waiting.notes, waiting.sent_at, bool(waiting.reserve_id)) == ("10", None, True)


def test_without_a_limit_all_may_go(account, sbin, claim):
    rate(None)
    wait_in_line(30)
    assert claim() == named(*range(30))


def test_clients_and_exchanges_have_their_own_seconds_and_no_queue_hides_another(
    account, other_account, sbin, nifty_future, claim
):
    rate(2)
    wait_in_line(20, "mine")
    future = {"exchange": "NFO", "symbol": "NIFTY27DECFUT", "product": "NRML", "price": D(20000)}
    place_list([request_for(**future, quantity=D(75), notes=f"future{n}") for n in range(3)], at=AT)
    wait_in_line(3, "theirs", account="OTHER")
    assert claim() == named(0, 1, name="mine") + named(0, 1, name="future") + named(0, 1, name="theirs")


def test_futures_and_options_share_one_exchange_segment(account, nifty_future, claim):
    nifty_future.pk, nifty_future.symbol, nifty_future.segment = None, "NIFTY27DEC25000CE", "NFO-OPT"
    nifty_future.save(force_insert=True)
    rate(1)
    both = [{"symbol": symbol, "notes": symbol} for symbol in ("NIFTY27DECFUT", "NIFTY27DEC25000CE")]
    rest = {"exchange": "NFO", "product": "NRML", "quantity": D(75), "price": D(20000)}
    place_list([request_for(**rest, **one) for one in both], at=AT)
    assert claim() == ["NIFTY27DECFUT"]


def test_what_only_closes_goes_first_and_the_others_wait(account, sbin, claim):
    open_holdings("DEMO", [HeldBefore("NSE", "SBIN", D(3), D(900))], actor=SYSTEM, at=now())
    rate(2)
    wait_in_line(3, "opens")
    wait_in_line(3, "closes", side=Side.SELL)
    assert claim() == named(0, 1, name="closes")
    assert claim(LATER) == ["closes2", "opens0"]


def test_the_strictest_limit_holds(account, sbin, claim):
    rate(3, "ACCOUNT", account=account)
    wait_in_line(5)
    assert claim() == named(0, 1, 2)


@pytest.mark.parametrize(("own", "may"), [(1, ["algo0"]), (20, [f"algo{n}" for n in range(12)])])
def test_an_algorithm_brings_its_own_rate(account, sbin, claim, own, may):
    algo = AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum")
    rate(own, "ALGO", algo=algo)
    wait_in_line(12, "algo", algo_id="A1")
    assert claim() == may


def test_an_algorithms_orders_count_for_the_others(account, sbin, claim):
    """Those without a rate of their own have what the threshold leaves beside it."""
    rate(20, "ALGO", algo=AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum"))
    wait_in_line(8, "algo", algo_id="A1")
    wait_in_line(5, "hand")
    assert claim() == named(*range(8), name="algo") + named(0, 1, name="hand")


def test_what_a_switch_has_caught_is_refused_and_takes_no_turn(account, sbin, claim):
    wait_in_line(2)
    set_kill_switch("HOUSE", mode="HALTED", reason="test", user=None, actor=SYSTEM, at=now())
    assert claim() == []
    assert set(Order.objects.values_list("rejection_code", flat=True)) == {"KILL_SWITCH"}


def test_cancels_are_never_paced(account, broker_account, sbin, claim):
    rate(1)
    working = see(send(place(at=AT), at=AT), BrokerStatus.OPEN)
    wait_in_line(1)
    assert claim() == [], "the second is full"
    request_cancel(working.pk, actor=TRADER, at=AT, user=None)
    assert len(claim_amendments(broker_account.pk, limit=10, at=AT)) == 1
