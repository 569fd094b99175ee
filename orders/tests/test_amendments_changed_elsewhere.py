"""Terms that changed at the broker without us are taken over, once a look of its own has shown them."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from compliance.models import Alert
from compliance.selectors import order_events
from ledger.market.prices import set_prices
from ledger.models import Position
from ledger.selectors import open_reservations, trial_balance
from oms.lib.clock import now
from orders.models import Amendment, Order
from orders.services.amendments.asking import request_modify
from orders.services.amendments.outcomes import SETTLES_WITHIN
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.tests.factories import TRADER, fresh, place, row, see, send, trade
from orders.types import Accepted, BrokerStatus, Modification, OrderType, Side

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _books_balance(account, sbin):
    yield
    assert trial_balance() == []


@pytest.fixture
def order(account, sbin) -> Order:
    return see(send(place()), BrokerStatus.OPEN)


def look(order, *, at=None, filled=0, **terms) -> Order:
    seen = row(order, BrokerStatus.OPEN, filled=filled, **terms)
    apply_book(order.broker_account_id, [seen], [], at=at or now(), source="LOOK")
    return fresh(order)


def test_a_look_takes_them_over_records_them_and_tells_a_person(order):
    after = look(order, price=D(1050), quantity=D(20))
    assert (after.price, after.quantity, after.modifications) == (1050, 20, 0)
    assert after.version > order.version
    recorded = order_events(order.pk).get(event_type="ORDER_MODIFIED").data
    assert recorded == {
        "old": {"quantity": "10", "price": "1000"}, "new": {"quantity": "20", "price": "1050"},
        "by": "outside this system",
    }  # fmt: skip
    alert = Alert.objects.get(kind="CHANGED_OUTSIDE")
    assert (alert.order_id, alert.account_id) == (order.pk, order.account_id)
    assert not Amendment.objects.exists()


def test_a_row_of_the_book_may_be_an_old_one_and_changes_nothing(order):
    assert see(order, BrokerStatus.OPEN, price=D(1050)).price == 1000
    assert not Alert.objects.exists()


def test_dearer_terms_reserve_more_even_into_overdraft(order, portfolio):
    held = open_reservations([order.pk])[order.pk]
    look(order, quantity=D(2000))
    portfolio.refresh_from_db()
    assert open_reservations([order.pk])[order.pk] > 199 * held
    assert portfolio.free < 0
    assert Alert.objects.filter(kind="OVERDRAFT").exists()


def test_cheaper_terms_give_back(order, portfolio):
    held = open_reservations([order.pk])[order.pk]
    look(order, quantity=D(5))
    assert open_reservations([order.pk])[order.pk] < held * D("0.51")


def test_a_larger_sale_is_promised_the_units_that_are_there(account, sbin):
    bought = send(place())
    see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10)])
    order = see(send(place(side=Side.SELL, quantity=D(6), price=D(1010))), BrokerStatus.OPEN)
    after = look(order, quantity=D(8))
    assert (after.quantity, after.reserved_units, Position.objects.get().reserved_units) == (8, 8, 8)


def test_the_price_that_the_broker_gives_an_unpriced_order_is_none_of_its_terms(account, sbin):
    set_prices({sbin.pk: (D(1000), now())})
    order = place(type=OrderType.STOP, price=None, stop_price=D(1010), market_protection=D(2))
    order = see(send(order), BrokerStatus.TRIGGER)
    after = look(order, type=OrderType.LIMIT, price=D(1030), stop_price=None)
    assert (after.type, after.price, after.stop_price) == ("STOP", None, 1010)
    after = look(order, type=OrderType.LIMIT, price=D(1030), stop_price=None, quantity=D(7))
    assert (after.type, after.price, after.stop_price, after.quantity) == ("STOP", None, 1010, 7)


def test_a_look_that_began_soon_after_a_change_of_ours_decides_nothing(order):
    request_modify(order.pk, Modification(price=D(990)), actor=TRADER, at=now(), user=None)
    (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
    answer_amendment(dispatch, Accepted("x"), at=now())
    order = see(order, BrokerStatus.OPEN, price=D(990))
    assert look(order, price=D(1000)).price == 990, "it may show what was before"
    assert look(order, price=D(1000), at=now() + 2 * SETTLES_WITHIN).price == 1000
    assert Alert.objects.filter(kind="CHANGED_OUTSIDE").count() == 1


def test_what_shows_fewer_fills_than_we_know_is_old_whatever_its_terms(order):
    order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4)])
    assert look(order, price=D(1050), filled=2, at=now() + timedelta(minutes=1)).price == 1000
