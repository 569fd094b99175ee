"""Whole journeys of an order through the services, with the capital after every step."""

from decimal import Decimal as D

import pytest

from compliance.models import Alert
from compliance.selectors import order_events
from compliance.verification import verify_chain
from ledger.market.prices import set_prices
from ledger.models import CapitalEntry, Position
from ledger.rates import NoRate
from ledger.selectors import trial_balance
from oms.lib.clock import now
from oms.lib.errors import Conflict, DomainError, Invalid, Stale
from orders.models import Amendment, Execution, Order
from orders.services import postings
from orders.services.amendments.asking import request_cancel, request_modify
from orders.services.amendments.sending import answer_amendment, claim_amendments
from orders.services.observation import apply_book
from orders.services.resolution import COMPLETE_MISSES, mark_lost
from orders.services.submission import answer_place, claim_orders
from orders.tests.factories import TRADER, fresh, place, place_list, request_for, row, see, send, trade
from orders.types import Accepted, BrokerStatus, Modification, OrderType, Refused, Side, TimeInForce, Unconfirmed

pytestmark = pytest.mark.django_db


def buckets(portfolio):
    portfolio.refresh_from_db()
    return portfolio.free, portfolio.reserved, portfolio.allocated


def types(order):
    return list(order_events(order.pk).values_list("event_type", flat=True))


@pytest.fixture(autouse=True)
def books_balance_and_chains_are_whole(account, sbin):
    yield
    assert trial_balance() == []
    for order in Order.objects.all():
        report = verify_chain(order_events(order.pk), head=order.event_hash)
        assert report.ok, report.message


def test_a_limit_buy_that_fills_below_its_limit(portfolio):
    order = place(quantity=D(10), price=D(1000))
    # 10 x 1000 and the charges on it: STT 10, stamp 1.5, exchange 0.30, SEBI 0.01, GST 0.06
    assert buckets(portfolio) == (D("989988.13"), D("10011.87"), D(0))
    send(order)
    order = see(order, BrokerStatus.COMPLETE, [trade(order, 1, 10, 990)])
    assert order.state == "FILLED"
    assert order.average_price == D(990)
    # allocated at the execution's price; 9.90 + 1.49 + 0.29 + 0.01 + 0.05 charged; the rest released
    assert order.charges == D("11.74")
    assert buckets(portfolio) == (D(1000000) - 9900 - D("11.74"), D(0), D(9900))
    assert types(order) == [
        "ORDER_CREATED", "CAPITAL_RESERVED", "ORDER_SENT", "ORDER_PLACED", "CAPITAL_ALLOCATED", "ORDER_FILLED",
    ]  # fmt: skip
    assert not CapitalEntry.objects.filter(status="PENDING").exists()


def test_partial_fills_allocate_in_proportion_and_a_cancel_releases_the_rest(portfolio):
    order = send(place(quantity=D(10), price=D(1000)))
    first = trade(order, 1, 4, 1000)
    order = see(order, BrokerStatus.OPEN, [first])
    assert (order.state, order.filled_quantity) == ("PARTIALLY_FILLED", 4)
    _, reserved, allocated = buckets(portfolio)
    assert allocated == 4000
    assert reserved == D("6007.12")
    order = see(order, BrokerStatus.CANCELLED, [first])
    assert order.state == "CANCELED"
    assert buckets(portfolio) == (D(1000000) - 4000 - order.charges, D(0), D(4000))


def test_selling_holdings_reserves_units_and_realises_profit(portfolio, account):
    bought = send(place(quantity=D(10), price=D(1000)))
    see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10, 1000)])
    charges = fresh(bought).charges
    order = place(side=Side.SELL, quantity=D(6), price=D(1010))
    position = Position.objects.get()
    assert (position.quantity, position.reserved_units) == (10, 6)
    assert buckets(portfolio)[1] == 0
    refused = place(side=Side.SELL, quantity=D(5), price=D(1010))
    assert (refused.state, refused.rejection_code) == ("REJECTED", "INSUFFICIENT_HOLDINGS")
    order = send(order)
    order = see(order, BrokerStatus.COMPLETE, [trade(order, 2, 6, 1020)])
    position = Position.objects.get()
    assert (position.quantity, position.reserved_units, position.realised_pnl) == (4, 0, D(120))
    assert buckets(portfolio) == (D(1000000) - 4000 + 120 - charges - order.charges, D(0), D(4000))


def test_a_short_through_zero_closes_then_opens(portfolio):
    long = send(place(product="MIS", quantity=D(10), price=D(1000)))
    see(long, BrokerStatus.COMPLETE, [trade(long, 1, 10, 1000)])
    assert buckets(portfolio)[2] == 2000  # a fifth
    turn = send(place(product="MIS", side=Side.SELL, quantity=D(15), price=D(1000)))
    turn = see(turn, BrokerStatus.COMPLETE, [trade(turn, 2, 15, 1010)])
    position = Position.objects.get()
    assert (position.quantity, position.average_price, position.realised_pnl) == (-5, D(1010), D(100))
    assert buckets(portfolio)[1:] == (D(0), D(1010))


def test_refused_by_the_broker_frees_everything(portfolio):
    order = send(place(), Refused("MarginException", "Insufficient funds."))
    assert (order.state, order.rejection_reason) == ("REJECTED", "Insufficient funds.")
    assert buckets(portfolio) == (D(1000000), D(0), D(0))
    assert types(order)[-2:] == ["ORDER_REJECTED", "CAPITAL_FAILED"]
    assert set(CapitalEntry.objects.filter(order_id=order.pk).values_list("kind", "status")) == {
        ("RESERVE", "FAILED"),
        ("FAIL", "COMMITTED"),
    }


def test_an_unknown_outcome_keeps_the_capital_until_the_broker_shows_the_order(portfolio):
    order = send(place(), Unconfirmed("timed out"))
    assert order.state == "UNKNOWN"
    assert buckets(portfolio)[1] == D("10011.87")
    assert CapitalEntry.objects.get(kind="RESERVE").status == "RECONCILING"
    order = see(order, BrokerStatus.OPEN)
    assert (order.state, order.broker_order_id) == ("OPEN", f"B-{order.tag}")
    assert CapitalEntry.objects.get(kind="RESERVE").status == "PENDING"


def test_a_capital_refusal_is_stored_and_costs_nothing(portfolio):
    order = place(quantity=D(2000), price=D(1000))
    assert (order.state, order.rejection_code) == ("REJECTED", "INSUFFICIENT_CAPITAL")
    assert "free" in order.rejection_reason
    assert buckets(portfolio) == (D(1000000), D(0), D(0))
    assert types(order) == ["RISK_REJECTED"]


def test_one_bad_order_of_a_list_costs_the_others_nothing(portfolio):
    asked = [request_for(quantity=D(400)), request_for(price=D("1000.01")), request_for(quantity=D(700)), request_for()]
    assert [(p.order.state, p.order.rejection_code) for p in place_list(asked)] == [
        ("CREATED", ""), ("REJECTED", "TICK_SIZE"), ("REJECTED", "INSUFFICIENT_CAPITAL"), ("CREATED", ""),
    ]  # fmt: skip


class TestModify:
    def sent(self, order, outcome=None):
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        answer_amendment(dispatch, outcome or Accepted("x"), at=now())
        return dispatch

    def test_dearer_reserves_before_it_is_sent_and_is_confirmed_by_the_row(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        order = request_modify(order.pk, Modification(price=D(1050), quantity=D(20)), actor=TRADER, at=now(), user=None)
        assert buckets(portfolio)[1] == D("21024.91")  # charges: 21 + 3.15 + 0.62 + 0.02 + 0.12
        assert (order.price, order.quantity) == (1000, 10)
        dispatch = self.sent(order)
        assert dispatch.terms.price == 1050
        still = see(fresh(order), BrokerStatus.OPEN)
        assert still.price == 1000
        order = see(fresh(order), BrokerStatus.OPEN, price=D(1050), quantity=D(20))
        assert (order.price, order.quantity, order.modifications) == (1050, 20, 1)
        assert Amendment.objects.get().state == "CONFIRMED"

    def test_cheaper_gives_back_only_when_confirmed(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        before = buckets(portfolio)
        request_modify(order.pk, Modification(quantity=D(5)), actor=TRADER, at=now(), user=None)
        assert buckets(portfolio) == before
        self.sent(order)
        see(fresh(order), BrokerStatus.OPEN, quantity=D(5))
        assert buckets(portfolio)[1] == D("5005.94")

    def test_refused_gives_back_what_it_had_raised(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        before = buckets(portfolio)
        request_modify(order.pk, Modification(quantity=D(50)), actor=TRADER, at=now(), user=None)
        self.sent(order, Refused("InputException", "Price out of range"))
        assert buckets(portfolio) == before
        assert Amendment.objects.get().state == "REJECTED"
        assert fresh(order).quantity == 10

    def test_before_it_left_the_house_it_takes_the_terms_at_once(self, portfolio):
        order = request_modify(place().pk, Modification(price=D(950)), actor=TRADER, at=now(), user=None)
        assert fresh(order).price == 950
        assert buckets(portfolio)[1] == D("9511.27")

    def test_a_fill_while_it_is_under_way_leaves_it_open_and_counts_against_confirmed_terms(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        request_modify(order.pk, Modification(quantity=D(4)), actor=TRADER, at=now(), user=None)
        self.sent(order)
        fill = trade(order, 1, 4, 1000)
        order = see(fresh(order), BrokerStatus.OPEN, [fill])
        assert (order.state, Amendment.objects.get().state) == ("PARTIALLY_FILLED", "SENT")
        order = see(fresh(order), BrokerStatus.COMPLETE, [fill], quantity=D(4))
        assert (order.state, order.quantity) == ("FILLED", 4)
        assert buckets(portfolio)[1] == 0

    def test_what_was_filled_at_the_old_price_is_paid_before_the_cheaper_one_gives_back(self, portfolio):
        order = see(send(place(quantity=D(10), price=D(1000))), BrokerStatus.OPEN)
        request_modify(order.pk, Modification(price=D(950)), actor=TRADER, at=now(), user=None)
        self.sent(order)
        order = see(fresh(order), BrokerStatus.OPEN, [trade(order, 1, 8, 1000)], price=D(950))
        assert (order.price, order.filled_quantity) == (950, 8)
        _, reserved, allocated = buckets(portfolio)
        assert allocated == 8000
        assert D(2 * 950) <= reserved < D(2 * 1000)

    def test_a_smaller_sale_gives_back_the_units_when_confirmed(self, portfolio):
        bought = send(place(quantity=D(10), price=D(1000)))
        see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10, 1000)])
        order = see(send(place(side=Side.SELL, quantity=D(10), price=D(1010))), BrokerStatus.OPEN)
        request_modify(order.pk, Modification(quantity=D(6)), actor=TRADER, at=now(), user=None)
        self.sent(order)
        assert Position.objects.get().reserved_units == 10
        order = see(fresh(order), BrokerStatus.OPEN, quantity=D(6))
        assert (order.reserved_units, Position.objects.get().reserved_units) == (6, 6)

    def test_what_the_rules_refuse(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        for changes, error, code in (
            (Modification(price=D("1000.03")), DomainError, "TICK_SIZE"),
            (Modification(price=D(2000)), DomainError, "PRICE_BAND"),
            (Modification(quantity=D(5000)), DomainError, "insufficient_capital"),
            (Modification(stop_price=D(990)), Invalid, "invalid"),
            (Modification(), Invalid, "invalid"),
        ):
            with pytest.raises(error) as caught:
                request_modify(order.pk, changes, actor=TRADER, at=now(), user=None)
            assert caught.value.code == code
        with pytest.raises(Stale):
            request_modify(order.pk, Modification(price=D(1001)), actor=TRADER, at=now(), user=None, expected_version=1)
        assert not Amendment.objects.exists()


class TestCancel:
    def test_before_it_left_the_house(self, portfolio):
        order = request_cancel(place().pk, actor=TRADER, at=now(), user=None)
        assert fresh(order).state == "CANCELED"
        assert buckets(portfolio) == (D(1000000), D(0), D(0))
        assert claim_amendments(order.broker_account_id, limit=10, at=now()) == []

    def test_at_the_broker_it_waits_for_the_row(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        assert dispatch.terms is None
        answer_amendment(dispatch, Accepted("x"), at=now())
        assert fresh(order).state == "OPEN"
        order = see(fresh(order), BrokerStatus.CANCELLED)
        assert (order.state, Amendment.objects.get().state) == ("CANCELED", "CONFIRMED")
        assert buckets(portfolio) == (D(1000000), D(0), D(0))
        with pytest.raises(Conflict):
            request_cancel(order.pk, actor=TRADER, at=now(), user=None)

    def test_overtakes_a_modification_that_nobody_has_sent(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        before = buckets(portfolio)
        request_modify(order.pk, Modification(quantity=D(20)), actor=TRADER, at=now(), user=None)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        assert buckets(portfolio) == before
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        assert dispatch.terms is None
        assert set(Amendment.objects.values_list("kind", "state")) == {("MODIFY", "SUPERSEDED"), ("CANCEL", "SENDING")}

    def test_too_late_the_fill_wins(self, portfolio):
        order = see(send(place()), BrokerStatus.OPEN)
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        claim_amendments(order.broker_account_id, limit=10, at=now())
        order = see(fresh(order), BrokerStatus.COMPLETE, [trade(order, 1, 10)])
        assert (order.state, Amendment.objects.get().state) == ("FILLED", "REJECTED")

    def test_of_an_order_that_the_broker_then_refuses_is_not_left_open(self, portfolio):
        order = place()
        claim_orders(order.broker_account_id, limit=10, at=now())
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        answer_place(order.pk, Refused("MarginException", "Insufficient funds."), at=now())
        assert (fresh(order).state, Amendment.objects.get().state) == ("REJECTED", "REJECTED")
        assert types(order)[-1] == "CANCEL_REJECTED"

    def test_of_a_lost_order_goes_out_when_the_order_turns_up(self, portfolio):
        order = send(place(), Unconfirmed("timed out"))
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        Order.objects.filter(pk=order.pk).update(complete_misses=COMPLETE_MISSES)
        assert mark_lost([order.pk], at=now()) == 1
        assert buckets(portfolio) == (D(1000000), D(0), D(0))
        assert claim_amendments(order.broker_account_id, limit=10, at=now()) == []
        order = see(fresh(order), BrokerStatus.OPEN)
        assert (order.state, buckets(portfolio)[1]) == ("OPEN", D("10011.87"))
        (dispatch,) = claim_amendments(order.broker_account_id, limit=10, at=now())
        assert (dispatch.terms, dispatch.broker_order_id) == (None, f"B-{order.tag}")


class TestExecutions:
    def test_the_book_ahead_of_the_trades_is_inferred_and_then_replaced(self, portfolio):
        order = send(place(quantity=D(10), price=D(1000)))
        order = see(order, BrokerStatus.OPEN, filled=6, average=995)
        assert (order.filled_quantity, order.average_price) == (6, 995)
        assert Execution.objects.get().is_inferred
        real = [trade(order, 1, 3, 990), trade(order, 2, 3, 1000)]
        order = see(order, BrokerStatus.OPEN, real)
        assert (order.filled_quantity, order.filled_value) == (6, 5970)
        assert Execution.objects.filter(reverses=None, reversed_by=None).count() == 2
        assert Position.objects.get().quantity == 6
        order = see(order, BrokerStatus.COMPLETE, [*real, trade(order, 3, 4, 1000)])
        assert (order.state, order.filled_value) == ("FILLED", 9970)
        assert buckets(portfolio) == (D(1000000) - 9970 - order.charges, D(0), D(9970))

    def test_the_same_trade_with_another_price_is_an_incident_not_a_repeat(self, portfolio):
        from compliance.models import Alert

        order = send(place())
        order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4, 1000)])
        order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4, 999)], average=1000)
        assert (order.filled_quantity, order.filled_value) == (4, 4000)
        assert Alert.objects.get(kind="TRADE_CHANGED").severity == "CRITICAL"

    def test_a_late_fill_after_cancel_is_booked_even_into_overdraft(self, portfolio):
        from compliance.models import Alert

        order = send(place(quantity=D(900), price=D(1000)))
        order = see(order, BrokerStatus.CANCELLED)
        other = place(quantity=D(990), price=D(1000))
        assert other.state == "CREATED"
        order = see(order, BrokerStatus.CANCELLED, [trade(order, 1, 400, 1000)])
        assert (order.state, order.filled_quantity) == ("CANCELED", 400)
        assert buckets(portfolio)[0] < 0
        assert set(Alert.objects.values_list("kind", flat=True)) == {"LATE_FILL", "OVERDRAFT"}
        assert place(quantity=D(1)).rejection_code == "INSUFFICIENT_CAPITAL"

    def test_a_replay_of_everything_changes_nothing(self, portfolio):
        order = send(place())
        fills = [trade(order, 1, 4), trade(order, 2, 6)]
        order = see(order, BrokerStatus.COMPLETE, fills)
        before, entries, version = types(order), CapitalEntry.objects.count(), order.version
        for status in (BrokerStatus.COMPLETE, BrokerStatus.OPEN, BrokerStatus.PENDING):
            order = see(order, status, fills)
        assert (types(order), CapitalEntry.objects.count(), order.version) == (before, entries, version)

    def test_an_order_from_outside_is_adopted_once_with_its_position(self, account, portfolio, broker_account):
        from orders.services.observation import apply_book

        ghost = Order(
            tag="", broker_order_id="E1", exchange="NSE", symbol="SBIN", side="BUY", type=OrderType.LIMIT, product="CNC",
            quantity=D(5), price=D(1000), variety="regular", time_in_force="DAY",
        )  # fmt: skip
        for _ in range(2):
            apply_book(broker_account.pk, [row(ghost, BrokerStatus.COMPLETE, filled=5)], [trade(ghost, 1, 5)], at=now())
        order = Order.objects.get()
        assert (order.origin, order.state, order.filled_quantity) == ("EXTERNAL", "FILLED", 5)
        assert Position.objects.get().quantity == 5
        assert types(order)[0] == "ORDER_ADOPTED"


class TestTermsAtTheBroker:
    """Rows that look like what was asked for and are not, and terms that nobody here asked for."""

    def asked(self, changes, outcome=None):
        order = see(send(place(quantity=D(10), price=D(1000))), BrokerStatus.OPEN)
        request_modify(order.pk, changes, actor=TRADER, at=now(), user=None)
        for dispatch in claim_amendments(order.broker_account_id, limit=10, at=now()):
            if outcome is not None:
                answer_amendment(dispatch, outcome, at=now())
        return order

    def test_the_old_row_does_not_confirm_a_change_to_market(self, portfolio, sbin):
        set_prices({sbin.pk: (D(1000), now())})
        order = self.asked(Modification(type=OrderType.MARKET))
        order = see(fresh(order), BrokerStatus.OPEN)
        assert (order.type, order.price, Amendment.objects.get().state) == ("LIMIT", 1000, "SENDING")
        order = see(order, BrokerStatus.OPEN, price=D("1004.50"))
        assert (order.type, Amendment.objects.get().state) == ("MARKET", "CONFIRMED")

    def test_the_old_row_does_not_confirm_a_change_of_validity(self, portfolio):
        order = self.asked(Modification(time_in_force=TimeInForce.IOC), Accepted("x"))
        assert see(fresh(order), BrokerStatus.OPEN).time_in_force == "DAY"
        assert see(fresh(order), BrokerStatus.OPEN, time_in_force=TimeInForce.IOC).time_in_force == "IOC"

    def test_a_change_made_elsewhere_is_looked_at_and_taken_over(self, portfolio):
        order = see(send(place(quantity=D(10), price=D(1000))), BrokerStatus.OPEN)
        first = trade(order, 1, 10, 1000)
        order = see(order, BrokerStatus.OPEN, [first], quantity=D(20))
        assert (order.state, order.quantity) == ("PARTIALLY_FILLED", 10)
        order = see(order, BrokerStatus.OPEN, [first], quantity=D(20), source="LOOK")
        assert (order.state, order.quantity, order.remaining_quantity) == ("PARTIALLY_FILLED", 20, 10)
        assert buckets(portfolio)[1] == D("10011.87")
        request_cancel(order.pk, actor=TRADER, at=now(), user=None)
        order = see(fresh(order), BrokerStatus.CANCELLED, [first], quantity=D(20))
        assert (order.state, order.filled_quantity, buckets(portfolio)[1]) == ("CANCELED", 10, 0)

    def test_the_broker_ends_an_order_though_it_counts_less_executed(self, portfolio):
        order = send(place())
        fills = [trade(order, 1, 5)]
        order = see(see(order, BrokerStatus.OPEN, fills), BrokerStatus.CANCELLED, fills, filled=2, source="LOOK")
        assert (order.state, order.filled_quantity, buckets(portfolio)[1]) == ("CANCELED", 5, 0)
        assert Alert.objects.get().kind == "FILL_SHRANK"

    def test_one_row_that_cannot_be_applied_leaves_the_others_alone(self, portfolio, broker_account, monkeypatch):
        good, bad = send(place()), send(place())

        def settle(desk, order, *args, **kwargs):
            if order.pk == bad.pk:
                raise NoRate("no margin is on file for BUY EQ under CO")
            return real(desk, order, *args, **kwargs)

        real = postings.book_execution
        monkeypatch.setattr(postings, "book_execution", settle)
        rows = [row(good, BrokerStatus.COMPLETE, filled=10), row(bad, BrokerStatus.COMPLETE, filled=10)]
        apply_book(broker_account.pk, rows, [], at=now())
        assert (fresh(good).state, fresh(bad).state) == ("FILLED", "ACKED")
        assert Alert.objects.get().kind == "ROW_NOT_APPLIED"


class TestReservationsOfPartFills:
    def test_what_closes_does_not_use_up_what_opens(self, portfolio):
        long = send(place(product="MIS", quantity=D(10), price=D(1000)))
        see(long, BrokerStatus.COMPLETE, [trade(long, 1, 10, 1000)])
        turn = send(place(product="MIS", side=Side.SELL, quantity=D(40), price=D(1000)))
        reserved = buckets(portfolio)[1]
        turn = see(turn, BrokerStatus.OPEN, [trade(turn, 2, 10, 1000)])
        assert reserved - buckets(portfolio)[1] == turn.charges, "only the charges of the closing part"
        turn = see(turn, BrokerStatus.COMPLETE, [trade(turn, 2, 10, 1000), trade(turn, 3, 30, 1000)])
        assert buckets(portfolio)[1:] == (0, 6000)
        assert buckets(portfolio)[0] >= 0

    def test_a_trade_that_replaces_an_inferred_one_draws_only_what_is_new(self, portfolio):
        order = send(place(quantity=D(10), price=D(1000)))
        order = see(order, BrokerStatus.OPEN, filled=4, average=1000)
        order = see(order, BrokerStatus.OPEN, [trade(order, 1, 7, 1000)])
        free, reserved, allocated = buckets(portfolio)
        assert allocated == 7000
        assert 3000 <= reserved <= D("3003.60")
        assert free + reserved + allocated == 1000000 - order.charges

    def test_a_short_sale_reserves_for_the_price_it_may_fetch(self, portfolio, sbin):
        set_prices({sbin.pk: (D(1000), now())})
        order = send(place(product="MIS", side=Side.SELL, quantity=D(100), price=D(900)))
        assert buckets(portfolio)[1] > 20000
        see(order, BrokerStatus.COMPLETE, [trade(order, 1, 100, 1000)])
        assert buckets(portfolio)[1:] == (0, 20000)
