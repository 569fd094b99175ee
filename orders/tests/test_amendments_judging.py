"""Judging a modification: by what it adds to what the order uses already, against limits, capital and units."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from compliance.services.controls import set_kill_switch, set_limits
from ledger.market.prices import set_prices
from ledger.models import Position
from ledger.selectors import open_reservations
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.errors import DomainError, Invalid
from orders.models import Amendment, Order
from orders.services.amendments.asking import request_modify
from orders.services.amendments.judging import only_loses_units
from orders.tests.factories import TRADER, fresh, place, see, send, trade
from orders.types import BrokerStatus, Modification, OrderType, Side, Terms, TimeInForce

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(account, sbin) -> Order:
    """10 @ 1000, open."""
    return see(send(place()), BrokerStatus.OPEN)


def limits(**values):
    set_limits("HOUSE", values=values, reason="test", user=None, actor=SYSTEM, at=now())


def switch(mode):
    set_kill_switch("HOUSE", mode=mode, reason="drill", user=None, actor=SYSTEM, at=now())


def modify(order, **terms):
    return request_modify(order.pk, Modification(**terms), actor=TRADER, at=now(), user=None)


def refused(order, **terms) -> DomainError:
    with pytest.raises(DomainError) as caught:
        modify(order, **terms)
    assert not Amendment.objects.filter(order=order).exists()
    assert (fresh(order).quantity, fresh(order).version) == (order.quantity, order.version)
    return caught.value


#: Exactly what the fixture's order uses, and a further one that raises by one step.
AT_THE_LIMIT = [
    ("ORDER_QUANTITY", {"max_order_quantity": D(10)}, {"quantity": D(11)}, "11", "10"),
    ("ORDER_VALUE", {"max_order_value": D(10_000)}, {"price": D(1001)}, "10010", "10000"),
    ("OPEN_VALUE", {"max_open_value": D(10_000)}, {"price": D(1001)}, "10010", "10000"),
    ("POSITION", {"max_position_quantity": D(10)}, {"quantity": D(11)}, "11", "10"),
]


class TestLimits:
    @pytest.mark.parametrize(("code", "limit", "higher", "value", "allowed"), AT_THE_LIMIT)
    def test_at_the_limit_only_what_raises_is_refused_with_the_whole(self, order, code, limit, higher, value, allowed):
        limits(**limit)
        error = refused(order, **higher)
        assert error.code == code
        assert f"would be {value}, above the limit {allowed}" in error.detail
        assert [fault.pointer for fault in error.errors] == ["/quantity"]
        assert modify(order, price=D(990)).state == "OPEN"

    @pytest.mark.parametrize(("code", "limit", "higher", "value", "allowed"), AT_THE_LIMIT)
    def test_lowering_passes_even_a_limit_that_was_lowered_below_it(self, order, code, limit, higher, value, allowed):
        limits(**dict.fromkeys(limit, D(1)))
        assert refused(order, **higher).code == code
        modify(order, quantity=D(9))
        assert Amendment.objects.get().quantity == 9

    def test_what_other_orders_use_counts(self, order):
        see(send(place(quantity=D(5))), BrokerStatus.OPEN)
        limits(max_open_value=D(15_500))
        assert refused(order, quantity=D(11)).detail.startswith("The value of all open orders would be 16000,")
        modify(order, price=D(1050))

    def test_what_has_executed_is_in_the_position_and_no_longer_open(self, order):
        order = see(order, BrokerStatus.OPEN, [trade(order, 1, 6)])
        limits(max_open_value=D(8_000), max_position_quantity=D(14))
        assert refused(order, quantity=D(15)).code == "OPEN_VALUE"
        limits(max_position_quantity=D(14))
        assert refused(order, quantity=D(15)).code == "POSITION"
        limits(max_open_value=D(8_000), max_position_quantity=D(14))
        modify(order, quantity=D(14))
        assert Amendment.objects.get().quantity == 14

    def test_of_a_sale_too(self, account, sbin):
        order = see(send(place(side=Side.SELL, product="MIS")), BrokerStatus.OPEN)
        limits(max_position_quantity=D(10))
        assert refused(order, quantity=D(11)).code == "POSITION"
        modify(order, quantity=D(8))

    def test_it_is_no_further_order_and_no_duplicate(self, account, sbin):
        limits(max_orders_per_second=1, duplicate_window_seconds=60)
        order = place()
        modify(order, price=D(999))
        assert modify(order, price=D(1000)).price == 1000

    def test_an_unpriced_order_may_be_made_smaller_after_the_market_rose(self, account, sbin):
        set_prices({sbin.pk: (D(1000), now())})
        order = see(send(place(type=OrderType.MARKET, price=None, market_protection=D(2))), BrokerStatus.OPEN)
        limits(max_order_value=D(5_000), max_open_value=D(5_000))
        set_prices({sbin.pk: (D(1080), now())})
        assert refused(order, quantity=D(11)).code == "ORDER_VALUE"
        modify(order, quantity=D(9))


def test_a_stop_that_has_fired_may_still_follow_the_market(account, sbin):
    set_prices({sbin.pk: (D(1000), now())})
    terms = {"type": OrderType.STOP_LIMIT, "stop_price": D(1010), "price": D(1015)}
    order = see(see(send(place(**terms)), BrokerStatus.TRIGGER), BrokerStatus.OPEN)
    set_prices({sbin.pk: (D(1020), now())})
    assert refused(order, stop_price=D(1012)).code == "PRICE_RELATION"
    modify(order, price=D(1021))
    assert Amendment.objects.get().price == 1021


class TestKillSwitch:
    def test_halted_refuses_every_change(self, order):
        switch("HALTED")
        assert refused(order, quantity=D(5)).code == "KILL_SWITCH"

    @pytest.mark.parametrize(
        ("terms", "passes"),
        [({"quantity": D(5)}, True), ({"quantity": D(11)}, False), ({"quantity": D(5), "price": D(1001)}, False)],
    )
    def test_reducing_passes_what_only_takes_units_away(self, order, terms, passes):
        switch("REDUCING")
        if passes:
            modify(order, **terms)
        else:
            assert refused(order, **terms).code == "KILL_SWITCH"

    def test_reducing_passes_what_only_closes_a_part_that_has_executed_already(self, account, sbin):
        bought = send(place())
        see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10)])
        order = see(send(place(side=Side.SELL, price=D(1010))), BrokerStatus.OPEN)
        order = see(order, BrokerStatus.OPEN, [trade(order, 2, 4, 1010)])
        switch("REDUCING")
        modify(order, price=D(1005))
        assert Amendment.objects.get().price == 1005


class TestCapitalAndUnits:
    def test_only_what_is_missing_is_raised(self, order):
        held = open_reservations([order.pk])[order.pk]
        modify(order, quantity=D(30))
        amendment = Amendment.objects.get()
        assert amendment.raised == amendment.need - held > 0

    def test_what_is_not_there_is_refused_with_what_is_free(self, order, portfolio):
        portfolio.refresh_from_db()
        error = refused(order, quantity=D(5000))
        assert error.code == "insufficient_capital"
        assert f"of which ₹{portfolio.free} is free" in error.detail

    def test_a_larger_sale_is_promised_the_further_units(self, account, sbin):
        bought = send(place())
        see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10)])
        order = see(send(place(side=Side.SELL, quantity=D(6), price=D(1010))), BrokerStatus.OPEN)
        assert refused(order, quantity=D(11)).detail == "Only 10 units are held and free to sell."
        modify(order, quantity=D(10))
        assert (Amendment.objects.get().extra_units, Position.objects.get().reserved_units) == (4, 10)


class TestShape:
    @pytest.mark.parametrize(
        ("terms", "pointer", "code"),
        [
            ({"price": D(1000)}, "", "nothing_changes"),
            ({"stop_price": D(990)}, "/stopPrice", "not_allowed"),
            ({"type": OrderType.STOP_LIMIT}, "/stopPrice", "required"),
            ({"type": OrderType.MARKET, "price": D(1000)}, "/price", "not_allowed"),
            ({"time_in_force": TimeInForce.TTL}, "/timeInForce", "not_allowed"),
            ({"quantity": D(4)}, "/quantity", "not_above_filled"),
        ],
    )
    def test_terms_that_contradict_themselves(self, order, terms, pointer, code):
        order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4)])
        error = refused(order, **terms)
        assert isinstance(error, Invalid)
        assert [(fault.pointer, fault.code) for fault in error.errors] == [(pointer, code)]

    @pytest.mark.parametrize(
        ("terms", "code"), [({"price": D("1000.03")}, "TICK_SIZE"), ({"price": D(2000)}, "PRICE_BAND")]
    )
    def test_the_rules_of_the_exchange_hold_for_the_new_terms(self, order, terms, code):
        error = refused(order, **terms)
        assert (error.code, [fault.pointer for fault in error.errors]) == (code, ["/price"])


TERMS = Terms(D(10), D(1000), None, OrderType.LIMIT, TimeInForce.DAY)


@pytest.mark.parametrize(
    ("changes", "difference", "only_loses"),
    [
        ({}, ([], []), False),
        ({"quantity": D(5)}, ([10], [5]), True),
        ({"quantity": D(11)}, ([10], [11]), False),
        ({"quantity": D(5), "price": D(999)}, ([10, 1000], [5, 999]), False),
        ({"type": OrderType.STOP_LIMIT, "stop_price": D(990)}, ([None, "LIMIT"], [990, "STOP_LIMIT"]), False),
    ],
)
def test_the_difference_of_two_terms(changes, difference, only_loses):
    other = replace(TERMS, **changes)
    found = TERMS.difference(other)
    assert (list(found["old"].values()), list(found["new"].values())) == difference
    assert list(found["old"]) == list(found["new"])
    assert set(found["new"]) == set(changes)
    assert only_loses_units(TERMS, other) == only_loses
