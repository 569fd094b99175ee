"""Screening as an order meets it: facts gathered from the database, limits of every scope, orders of one list."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from compliance.models import Account, AlgoRegistration
from compliance.screening import rules
from compliance.selectors import order_events
from compliance.services.controls import set_kill_switch, set_limits
from ledger.market.prices import set_prices
from ledger.models import Instrument
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from orders.models import BrokerAccount, Order, Routing
from orders.services.submission import claim_orders
from orders.tests import factories
from orders.tests.factories import fresh, place, request_for, see, send, trade
from orders.types import BrokerStatus, OrderType, Side, TimeInForce, Unconfirmed, Variety

pytestmark = pytest.mark.django_db


def limit(scope="HOUSE", account=None, algo=None, **values):
    set_limits(scope, account=account, algo=algo, values=values, reason="test", user=None, actor=SYSTEM, at=now())


def switch(mode, scope="HOUSE", **target):
    set_kill_switch(scope, mode=mode, reason="test", user=None, actor=SYSTEM, at=now(), **target)


def place_list(*changes, at=None):
    return [p.order.rejection_code for p in factories.place_list([request_for(**c) for c in changes], at=at)]


def hold(quantity=D(10), product="CNC", side=Side.BUY):
    """A position of so many SBIN."""
    order = send(place(quantity=quantity, product=product, side=side))
    return see(order, BrokerStatus.COMPLETE, [trade(order, order.tag, quantity, 1000)])


@pytest.fixture
def algo(account):
    return AlgoRegistration.objects.create(account=account, algo_id="A1", name="Momentum", version="3")


class TestEachFact:
    """One way into every refusal that depends on a row of the database."""

    def test_the_account(self, account, sbin):
        Account.objects.update(is_active=False)
        assert place().rejection_code == "ACCOUNT_INACTIVE"

    def test_its_products(self, account, sbin):
        Account.objects.update(products=["MIS"])
        assert place().rejection_code == "PRODUCT_NOT_ALLOWED"
        assert place(product="MIS").rejection_code == ""

    def test_its_route(self, account, sbin):
        Routing.objects.all().delete()
        assert place().rejection_code == "NO_BROKER"

    def test_the_instrument(self, account, sbin):
        assert place(symbol="GHOST").rejection_code == "INSTRUMENT_UNKNOWN"
        assert place(exchange="BSE").rejection_code == "INSTRUMENT_UNKNOWN"
        Instrument.objects.update(is_tradable=False)
        assert place().rejection_code == "INSTRUMENT_NOT_TRADABLE"

    def test_the_contracts_last_day(self, account, nifty_future, time_machine):
        contract = {
            "exchange": "NFO",
            "symbol": "NIFTY27DECFUT",
            "product": "NRML",
            "quantity": D(75),
            "price": D(26000),
        }
        time_machine.move_to(datetime(2026, 11, 26, 9, tzinfo=UTC))
        for expiry, code in (("2026-11-26", ""), ("2026-11-25", "INSTRUMENT_EXPIRED")):
            Instrument.objects.update(expiry=expiry)
            assert place(**contract).rejection_code == code
        # 19:00 in London is the next day in India
        Instrument.objects.update(expiry="2026-11-26")
        time_machine.move_to(datetime(2026, 11, 26, 19, tzinfo=UTC))
        assert place(**contract).rejection_code == "INSTRUMENT_EXPIRED"

    def test_lots_and_freeze_quantity(self, account, nifty_future):
        contract = {"exchange": "NFO", "symbol": "NIFTY27DECFUT", "product": "NRML", "price": D(26000)}
        assert place(**contract, quantity=D(75)).rejection_code == ""
        assert place(**contract, quantity=D(76)).rejection_code == "LOT_SIZE"
        Instrument.objects.update(freeze_quantity=D(150))
        assert place(**contract, quantity=D(150)).rejection_code == ""
        assert place(**contract, quantity=D(225)).rejection_code == "FREEZE_QUANTITY"

    def test_the_session(self, account, sbin, time_machine):
        BrokerAccount.objects.update(trading_hours="EXCHANGE")
        for hour, code in (
            (datetime(2026, 11, 20, 5, tzinfo=UTC), ""),
            (datetime(2026, 11, 20, 12, tzinfo=UTC), "MARKET_CLOSED"),
        ):
            time_machine.move_to(hour)
            assert place().rejection_code == code
        assert place(variety=Variety.AMO).rejection_code == ""

    def test_a_rate_card_that_covers_it(self, account, sbin):
        Account.objects.update(products=["CNC", "BO"])
        refused = place(product="BO")
        assert (refused.rejection_code, "EQ under BO" in refused.rejection_reason) == ("NO_RATE", True)

    @pytest.mark.parametrize("type", [OrderType.MARKET, OrderType.STOP])
    def test_a_price_that_is_fresh(self, account, sbin, settings, type):
        stop = {"stop_price": D(1010)} if type == OrderType.STOP else {}
        order = {"type": type, "price": None, **stop}
        assert place(**order).rejection_code == "NO_FRESH_PRICE"
        at = now()
        set_prices({sbin.pk: (D(1000), at - timedelta(seconds=settings.PRICE_FRESH_SECONDS, milliseconds=1))})
        assert place(**order, at=at).rejection_code == "NO_FRESH_PRICE"
        set_prices({sbin.pk: (D(1000), at - timedelta(seconds=settings.PRICE_FRESH_SECONDS))})
        assert place(**order, at=at).rejection_code == ""

    def test_what_the_broker_takes(self, account, sbin):
        assert place(time_in_force=TimeInForce.GTC).rejection_code == "TIME_IN_FORCE_UNSUPPORTED"


class TestLimits:
    def test_the_value_of_one_order(self, account, sbin):
        limit(max_order_value=D(10_000))
        assert place_list({"quantity": D(10)}, {"quantity": D(11)}) == ["", "ORDER_VALUE"]

    def test_a_market_orders_value_includes_its_protection(self, account, sbin):
        set_prices({sbin.pk: (D(1000), now())})
        limit(max_order_value=D(10_200))
        market = {"type": OrderType.MARKET, "price": None}
        assert place_list({**market, "market_protection": D(2)}, {**market, "market_protection": D("2.01")}) == [
            "", "ORDER_VALUE",
        ]  # fmt: skip

    def test_the_quantity_of_one_order(self, account, sbin):
        limit(max_order_quantity=D(10))
        assert place_list({"quantity": D(10)}, {"quantity": D(11)}) == ["", "ORDER_QUANTITY"]

    def test_the_value_of_all_open_orders(self, account, sbin):
        limit(max_open_value=D(30_000))
        assert [place().rejection_code for _ in range(4)] == ["", "", "", "OPEN_VALUE"]
        order = Order.objects.filter(state="CREATED").first()
        see(send(order), BrokerStatus.CANCELLED)
        assert place().rejection_code == ""

    def test_an_unconfirmed_order_counts_as_open(self, account, sbin):
        limit(max_open_value=D(10_000))
        send(place(), Unconfirmed("timed out"))
        assert place(quantity=D(1)).rejection_code == "OPEN_VALUE"

    def test_what_has_executed_no_longer_counts(self, account, sbin):
        limit(max_open_value=D(10_000))
        order = send(place())
        see(order, BrokerStatus.OPEN, [trade(order, 1, 4)])
        assert place_list({"quantity": D(5)}, {"quantity": D(4)}) == ["OPEN_VALUE", ""]

    def test_the_position_counts_what_is_held_and_what_works_on_the_same_side(self, account, sbin):
        hold(D(10), product="MIS")
        limit(max_position_quantity=D(25))
        assert place(product="MIS", quantity=D(10)).rejection_code == ""
        assert place(product="MIS", quantity=D(6)).rejection_code == "POSITION"
        assert place(product="MIS", quantity=D(5)).rejection_code == ""
        # the other side starts from what is held, not from what might be bought
        assert place(product="MIS", side=Side.SELL, quantity=D(35)).rejection_code == ""
        assert place(product="MIS", side=Side.SELL, quantity=D(1)).rejection_code == "POSITION"

    def test_an_order_that_only_closes_is_never_too_large(self, account, sbin):
        hold(D(30), product="MIS")
        limit(max_position_quantity=D(5))
        assert place(product="MIS", side=Side.SELL, quantity=D(20)).rejection_code == ""
        assert place(product="MIS", side=Side.BUY, quantity=D(1)).rejection_code == "POSITION"

    def test_positions_of_all_products_and_portfolios_count_together(self, account, sbin):
        hold(D(10), product="MIS")
        hold(D(10))
        limit(max_position_quantity=D(25))
        assert place_list({"quantity": D(6)}, {"quantity": D(5)}) == ["POSITION", ""]

    def test_the_strictest_scope_holds_and_is_named(self, account, other_account, sbin):
        limit(max_order_value=D(20_000))
        limit("ACCOUNT", account=account, max_order_value=D(5_000))
        refused = place()
        assert refused.rejection_code == "ORDER_VALUE"
        assert "ACCOUNT limits v1" in refused.rejection_reason
        assert place(account="OTHER").rejection_code == ""
        limit("ACCOUNT", account=account, max_order_value=D(50_000))
        assert place(quantity=D(21)).rejection_reason.endswith("(HOUSE limits v2).")


class TestRate:
    """How many may wait to be sent, at the pace of the limit: by client and exchange."""

    @pytest.fixture(autouse=True)
    def _one_second(self, monkeypatch):
        monkeypatch.setattr(rules, "LONGEST_WAIT_SECONDS", 1)

    def send(self, count, **changes):
        return [place(**changes).rejection_code for _ in range(count)]

    def test_what_would_wait_too_long_is_refused_and_told_both_numbers(self, account, sbin):
        assert self.send(11) == [""] * 10 + ["ORDER_RATE"]
        (placement,) = factories.place_list([request_for()])
        assert (placement.denial.value, placement.denial.limit, placement.denial.source) == (
            "11",
            "10",
            "HOUSE limits v1",
        )
        assert "11 orders would wait to be sent, above 10" in placement.denial.message

    def test_what_was_sent_waits_no_longer(self, account, sbin):
        self.send(10)
        claim_orders(account.routing.broker_account_id, limit=4, at=now())
        assert self.send(5) == [""] * 4 + ["ORDER_RATE"]

    def test_exchanges_count_apart_and_so_do_clients(self, account, other_account, sbin, nifty_future):
        self.send(10)
        future = {"exchange": "NFO", "symbol": "NIFTY27DECFUT", "product": "NRML", "quantity": D(75), "price": D(20000)}
        assert self.send(1, **future) == [""]
        assert self.send(1, account="OTHER") == [""]

    def test_what_was_refused_does_not_wait(self, account, sbin):
        self.send(20, price=D("1000.01"))
        assert self.send(10) == [""] * 10

    @pytest.mark.parametrize("rate", [3, 20])
    def test_an_algorithms_own_rate(self, account, sbin, algo, rate):
        limit("ALGO", algo=algo, max_orders_per_second=rate)
        assert self.send(rate + 1, algo_id="A1") == [""] * rate + ["ORDER_RATE"]

    def test_within_one_list_as_well(self, account, sbin):
        codes = place_list(*[{"price": D(1000 + n)} for n in range(12)])
        assert codes == [""] * 10 + ["ORDER_RATE"] * 2

    def test_what_only_closes_is_never_refused_for_it(self, account, sbin):
        hold(D(10))
        self.send(10)
        assert self.send(1, side=Side.SELL, quantity=D(10)) == [""]
        assert self.send(1) == ["ORDER_RATE"]


def test_a_batch_of_five_hundred_is_accepted(account, sbin):
    assert place_list(*[{"quantity": D(1)}] * 500) == [""] * 500


class TestDuplicates:
    AT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)

    @pytest.fixture(autouse=True)
    def _guard(self, account, sbin):
        limit(duplicate_window_seconds=5, max_orders_per_second=100)

    @pytest.mark.parametrize(
        "other",
        [
            {"quantity": D(11)}, {"price": D(1001)}, {"product": "MIS"}, {"account": "OTHER"},
            {"type": OrderType.STOP_LIMIT, "stop_price": D(1000)},
        ],
    )  # fmt: skip
    def test_another_order_is_no_duplicate(self, other_account, other):
        place(at=self.AT)
        assert place(at=self.AT, **other).rejection_code == ""

    def test_an_equal_one_within_the_window_is(self):
        assert place(at=self.AT).rejection_code == ""
        assert place(at=self.AT + timedelta(seconds=5), price=D("1000.0000")).rejection_code == "DUPLICATE"
        assert place(at=self.AT + timedelta(seconds=5, microseconds=1)).rejection_code == ""

    def test_what_was_refused_does_not_count(self):
        place(at=self.AT, quantity=D(10_000))
        assert place(at=self.AT, quantity=D(10_000)).rejection_code == "INSUFFICIENT_CAPITAL"

    def test_within_one_list(self):
        assert place_list({}, {"price": D(1001)}, {}, at=self.AT) == ["", "", "DUPLICATE"]


class TestOrdersOfOneListCountForEachOther:
    def test_open_value(self, account, sbin):
        limit(max_open_value=D(25_000))
        assert place_list({}, {}, {}, {"quantity": D(5)}) == ["", "", "OPEN_VALUE", ""]

    def test_position(self, account, sbin):
        limit(max_position_quantity=D(15))
        assert place_list({}, {}, {"quantity": D(5)}) == ["", "POSITION", ""]

    def test_capital(self, account, sbin):
        assert place_list({"quantity": D(900)}, {"quantity": D(900)}, {"quantity": D(90)}) == [
            "", "INSUFFICIENT_CAPITAL", "",
        ]  # fmt: skip

    def test_units(self, account, sbin):
        hold(D(10))
        sell = {"side": Side.SELL}
        assert place_list({**sell, "quantity": D(6)}, {**sell, "quantity": D(6)}, {**sell, "quantity": D(4)}) == [
            "", "INSUFFICIENT_HOLDINGS", "",
        ]  # fmt: skip


class TestKillSwitch:
    @pytest.mark.parametrize(("scope", "others_pass"), [("HOUSE", False), ("ACCOUNT", True)])
    def test_halted_refuses_what_it_covers(self, account, other_account, sbin, scope, others_pass):
        switch("HALTED", scope, account=account if scope == "ACCOUNT" else None)
        refused = place()
        assert refused.rejection_code == "KILL_SWITCH"
        assert f"{scope}: test" in refused.rejection_reason
        assert (place(account="OTHER").rejection_code == "") is others_pass

    def test_an_algorithms_own(self, account, sbin, algo):
        switch("HALTED", "ALGO", algo=algo)
        assert place(algo_id="A1").rejection_code == "KILL_SWITCH"
        assert place().rejection_code == ""

    def test_reducing_lets_through_what_only_closes(self, account, sbin):
        hold(D(10), product="MIS")
        switch("REDUCING")
        sell = {"product": "MIS", "side": Side.SELL}
        assert place(**sell, quantity=D(11)).rejection_code == "KILL_SWITCH"
        assert place(**sell, quantity=D(6)).rejection_code == ""
        assert place(**sell, quantity=D(5)).rejection_code == "KILL_SWITCH", "six of the ten are promised already"
        assert place(product="MIS").rejection_code == "KILL_SWITCH"

    def test_algorithms_must_be_known_and_active(self, account, other_account, sbin, algo):
        assert place(algo_id="A1").rejection_code == ""
        assert place(algo_id="A2").rejection_code == "ALGO_UNKNOWN"
        assert place(algo_id="A1", account="OTHER").rejection_code == "ALGO_UNKNOWN"
        AlgoRegistration.objects.update(status="SUSPENDED")
        assert place(algo_id="A1").rejection_code == "ALGO_SUSPENDED"

    @pytest.mark.parametrize("mode", ["HALTED", "REDUCING"])
    def test_what_was_thrown_after_acceptance_is_caught_before_sending(self, portfolio, sbin, mode):
        order = place()
        switch(mode)
        assert claim_orders(order.broker_account_id, limit=10, at=now()) == []
        order = fresh(order)
        assert (order.state, order.rejection_code) == ("REJECTED", "KILL_SWITCH")
        portfolio.refresh_from_db()
        assert (portfolio.free, portfolio.reserved) == (1_000_000, 0)
        assert list(order_events(order.pk).values_list("event_type", flat=True))[-2:] == [
            "ORDER_REJECTED", "CAPITAL_FAILED",
        ]  # fmt: skip

    def test_at_that_point_too_a_closing_order_passes_reducing(self, account, sbin):
        hold(D(10), product="MIS")
        closing, opening = place(product="MIS", side=Side.SELL), place()
        switch("REDUCING")
        (submission,) = claim_orders(closing.broker_account_id, limit=10, at=now())
        assert submission.order_id == closing.pk
        assert fresh(opening).state == "REJECTED"

    def test_one_accounts_switch_stops_only_its_orders(self, account, other_account, sbin):
        mine, theirs = place(), place(account="OTHER")
        switch("HALTED", "ACCOUNT", account=account)
        assert [s.order_id for s in claim_orders(mine.broker_account_id, limit=10, at=now())] == [theirs.pk]


def test_every_check_is_on_record_with_its_value_and_limit(account, sbin, algo):
    limit("ACCOUNT", account=account, max_order_value=D(20_000))
    order = place(algo_id="A1")
    event = order_events(order.pk).first()
    checks = {check["check"]: check for check in event.data["checks"]}
    source = "ACCOUNT limits v1"
    assert checks["ORDER_VALUE"] == {
        "check": "ORDER_VALUE", "passed": True, "value": "10000", "limit": "20000", "source": source,
    }  # fmt: skip
    assert checks["TICK_SIZE"]["limit"] == "0.05"
    assert (event.data["algo_id"], event.data["algo_version"], event.data["ucc"]) == ("A1", "3", "UCC-DEMO")
    refused = order_events(place(quantity=D(21)).pk).get()
    assert refused.data["checks"][-1] == {
        "check": "ORDER_VALUE", "passed": False, "value": "21000", "limit": "20000", "source": source,
    }  # fmt: skip
