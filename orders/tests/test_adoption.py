"""Orders that were not sent from here: taken in once, under the default account, with nothing reserved for them."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from compliance.models import Alert
from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.models import CapitalEntry, Position
from ledger.selectors import trial_balance
from oms.lib.clock import now
from oms.lib.errors import Forbidden
from orders.models import Order
from orders.services import observation
from orders.services.adoption import adopt
from orders.services.amendments.asking import request_cancel
from orders.services.observation import apply_book
from orders.services.submission import answer_place
from orders.tests.factories import TRADER, fresh, place, row, send, trade
from orders.types import Accepted, BrokerStatus, OrderType, Unconfirmed

pytestmark = pytest.mark.django_db


def stranger(name, status=BrokerStatus.OPEN, **changes):
    """A row of an order that somebody placed in the broker's own app."""
    order = Order(
        exchange="NSE", symbol=changes.pop("symbol", "SBIN"), side="BUY", type="LIMIT", product="CNC",
        quantity=D(10), price=D(1000),
    )  # fmt: skip
    return replace(row(order, status, **changes), broker_order_id=name, tags=())


def test_each_once_in_the_default_accounts_first_portfolio(account, portfolio, sbin, broker_account):
    rows = [stranger("a"), stranger("b", symbol="GHOST")]
    known, ghost = adopt(broker_account.pk, rows, at=now())
    assert adopt(broker_account.pk, rows, at=now()) == [], "the other poll was quicker"
    assert Order.objects.count() == 2
    known, ghost = fresh(known), fresh(ghost)
    assert (known.account, known.portfolio, known.origin) == (account, portfolio, "EXTERNAL")
    assert (known.state, known.instrument, ghost.instrument) == ("ACKED", sbin, None)
    assert [e.event_type for e in order_events(known.pk)] == ["ORDER_ADOPTED", "ORDER_PLACED"]
    assert verify_chain(order_events(known.pk), head=known.event_hash).ok
    assert not CapitalEntry.objects.filter(kind="RESERVE").exists()


def test_one_alert_a_day_that_names_the_latest(account, sbin, infy, broker_account):
    (first,) = adopt(broker_account.pk, [stranger("a")], at=now())
    assert Alert.objects.get().order_id == first.pk
    adopt(broker_account.pk, [stranger("b", symbol="INFY")], at=now())
    alert = Alert.objects.get()
    assert (alert.kind, alert.count, alert.account) == ("EXTERNAL_ORDER", 2, account)
    assert "INFY" in alert.summary


def test_what_it_executed_is_booked_like_any_fact(account, portfolio, sbin, broker_account):
    seen = stranger("a", BrokerStatus.COMPLETE, filled=10)
    done = trade(Order(exchange="NSE", symbol="SBIN", side="BUY", product="CNC", broker_order_id="a"), 1, 10, 1000)
    apply_book(broker_account.pk, [seen], [done], at=now())
    assert Order.objects.get().state == "FILLED"
    assert Position.objects.get().quantity == 10
    assert trial_balance() == []


def test_one_in_an_instrument_that_is_not_on_file_is_shown_and_alerted_of(account, sbin, broker_account):
    seen = stranger("a", BrokerStatus.OPEN, symbol="GHOST", filled=4)
    apply_book(broker_account.pk, [seen], [], at=now())
    order = Order.objects.get()
    assert (order.state, order.filled_quantity) == ("OPEN", 0)
    assert "UNBOOKED_EXECUTION" in Alert.objects.values_list("kind", flat=True)
    apply_book(broker_account.pk, [replace(seen, status=BrokerStatus.CANCELLED)], [], at=now())
    assert fresh(order).state == "CANCELED"


@pytest.mark.parametrize(
    ("terms", "type"),
    [
        ({"type": OrderType.LIMIT, "price": None}, "MARKET"),
        ({"type": OrderType.STOP, "price": None, "stop_price": None}, "MARKET"),
        ({"type": OrderType.STOP_LIMIT, "price": D(990), "stop_price": D(1000)}, "STOP_LIMIT"),
        ({"type": OrderType.MARKET, "price": D(0)}, "MARKET"),
    ],
)
def test_a_type_whose_price_the_row_lacks_is_a_market_order(terms, type, account, sbin, broker_account):
    (order,) = adopt(broker_account.pk, [stranger("a", **terms)], at=now())
    assert fresh(order).type == type


def test_it_is_read_only_here(account, sbin, broker_account):
    (order,) = adopt(broker_account.pk, [stranger("a")], at=now())
    with pytest.raises(Forbidden):
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)


class TestOneThatDoesNotFit:
    """A stranger that the database refuses blinds nobody: it is named, and all others are applied."""

    @pytest.mark.parametrize(
        ("name", "changes"), [("bad", {"quantity": D(0)}), ("x" * 41, {}), ("bad", {"quantity": D("NaN")})]
    )
    def test_the_others_are_adopted_and_ours_go_on(self, name, changes, account, sbin, broker_account):
        ours = send(place())
        rows = [stranger(name, **changes), row(ours, BrokerStatus.OPEN), stranger("good")]
        heard = apply_book(broker_account.pk, rows, [], at=now())
        assert fresh(ours).state == "OPEN"
        assert Order.objects.get(broker_order_id="good").state == "OPEN"
        alert = Alert.objects.get(kind="ROW_NOT_APPLIED")
        assert alert.severity == "CRITICAL"
        assert name[:40] in alert.summary
        assert name in heard, "it is compared again by the next poll"
        assert Order.objects.count() == 2
        apply_book(broker_account.pk, rows, [], at=now())
        assert Alert.objects.get(kind="ROW_NOT_APPLIED").count == 2
        assert Order.objects.count() == 2


class TestTwoRowsWithOneTag:
    """An order that is at the broker twice is seen as two: the first row is ours, the second a stranger."""

    @pytest.fixture
    def unknown(self, account, sbin):
        return send(place(), Unconfirmed("timed out"))

    def doubles(self, order, status=BrokerStatus.COMPLETE, filled=10):
        first = replace(row(order, status, filled=filled), broker_order_id="first")
        return first, replace(first, broker_order_id="second")

    def test_each_is_booked_once_and_somebody_is_called(self, unknown, broker_account):
        apply_book(broker_account.pk, self.doubles(unknown), [], at=now())
        ours, other = fresh(unknown), Order.objects.get(broker_order_id="second")
        assert (ours.broker_order_id, ours.state, ours.filled_quantity) == ("first", "FILLED", 10)
        assert (other.origin, other.state, other.filled_quantity) == ("EXTERNAL", "FILLED", 10)
        assert Position.objects.get().quantity == 20
        assert trial_balance() == []
        alert = Alert.objects.get(kind="DOUBLED_AT_BROKER")
        assert (alert.severity, alert.order_id, alert.count) == ("CRITICAL", ours.pk, 1)
        assert ours.tag in alert.summary
        assert "second" in alert.summary

    def test_again_and_again_changes_nothing(self, unknown, broker_account):
        for rows in [self.doubles(unknown), self.doubles(unknown)[::-1], self.doubles(unknown)]:
            apply_book(broker_account.pk, rows, [], at=now())
        assert Order.objects.count() == 2
        assert fresh(unknown).filled_quantity == 10
        assert Alert.objects.get(kind="DOUBLED_AT_BROKER").count == 1

    def test_one_that_comes_when_ours_is_known_is_the_same_case(self, unknown, broker_account):
        first, second = self.doubles(unknown, BrokerStatus.OPEN, 0)
        apply_book(broker_account.pk, [first], [], at=now())
        assert not Alert.objects.filter(kind="DOUBLED_AT_BROKER").exists()
        apply_book(broker_account.pk, [second, first], [], at=now())
        assert Alert.objects.get(kind="DOUBLED_AT_BROKER").order_id == unknown.pk
        assert fresh(unknown).broker_order_id == "first"
        assert Order.objects.get(broker_order_id="second").origin == "EXTERNAL"

    def test_a_row_whose_order_got_another_id_meanwhile_is_not_applied_to_it(
        self, unknown, broker_account, monkeypatch
    ):
        """The answer to the call names the second, just when the book was compared and is not applied yet."""
        first, second = self.doubles(unknown)
        real = observation.orders_with_unseen_trades

        def answered(*args):
            answer_place(unknown.pk, Accepted("second"), at=now())
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(observation, "orders_with_unseen_trades", answered)
            apply_book(broker_account.pk, [first], [], at=now())
        assert (fresh(unknown).broker_order_id, fresh(unknown).filled_quantity) == ("second", 0)
        apply_book(broker_account.pk, [first, second], [], at=now())
        assert fresh(unknown).filled_quantity == 10
        assert Order.objects.get(broker_order_id="first").origin == "EXTERNAL"
