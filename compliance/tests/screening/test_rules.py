"""What must hold of the rules whatever the order and its surroundings: stricter is never laxer, words name figures."""

import re
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.screening.facts import Contract, Denial, Exposure, Limit, Limits, Proposal, Surroundings
from compliance.screening.rules import LONGEST_WAIT_SECONDS, screen

SOURCE = "ACCOUNT limits v3"
TODAY = date(2026, 11, 20)
CONTRACT = Contract(
    is_tradable=True, tick_size=D("0.05"), lot_size=1, freeze_quantity=D(5000), lower_circuit=D(900),
    upper_circuit=D(1100), expiry=None,
)  # fmt: skip
CODE_OF_LIMIT = {
    "order_quantity": Denial.ORDER_QUANTITY, "order_value": Denial.ORDER_VALUE, "open_value": Denial.OPEN_VALUE,
    "position_quantity": Denial.POSITION, "orders_per_second": Denial.ORDER_RATE,
}  # fmt: skip
whole = st.integers(0, 2000).map(D)
limits = st.builds(
    Limits, **{field.name: st.none() | whole.map(lambda value: Limit(value, SOURCE)) for field in fields(Limits)}
)
prices = st.integers(18_000, 22_000).map(lambda steps: steps * D("0.05"))


def proposal(**given):
    """BUY 10 at 1000, opening all of it, unless told otherwise."""
    told = {
        "side": "BUY", "type": "LIMIT", "product": "CNC", "quantity": D(10), "price": D(1000), "stop_price": None,
        "disclosed_quantity": D(0), "time_in_force": "DAY", "is_amo": False, "closes": D(0), "replaces": None,
    } | given  # fmt: skip
    told.setdefault("value", told["quantity"] * (told["price"] or 1000))
    return Proposal(**told)


def around(**given):
    told = {
        "trade_date": TODAY, "account_is_active": True, "products": ["CNC"], "contract": CONTRACT, "has_broker": True,
        "market_is_open": True, "mode": "ACTIVE", "mode_source": "", "algo_named": False, "algo_status": "",
        "orders_waiting": 0, "open_value": D(0), "projected_position": D(10), "is_duplicate": False,
        "last_price": D(1000), "limits": Limits(),
    }  # fmt: skip
    return Surroundings(**(told | given))


def exposure(quantity, executed, price):
    """What an order of so many units at one price uses, a part of it executed."""
    open_value = (quantity - executed) * price
    return Exposure(quantity, executed, quantity * price, open_value, stop_price=None, loses_units_only=False)


@st.composite
def new_orders(draw):
    quantity = draw(st.integers(1, 2000).map(D))
    return proposal(
        side=draw(st.sampled_from(["BUY", "SELL"])),
        quantity=quantity,
        price=draw(prices),
        closes=draw(st.integers(0, int(quantity)).map(D)),
        disclosed_quantity=draw(st.sampled_from([D(0), D(1), quantity])),
    )


@st.composite
def changes(draw):
    """A change of an order that is partly executed, to any quantity and price."""
    order = draw(new_orders())
    executed = draw(st.integers(0, int(order.quantity) - 1).map(D))
    before, price = draw(st.integers(int(executed) + 1, 2000).map(D)), draw(prices)
    closes = min(order.closes, order.quantity - executed)
    return replace(order, closes=closes, replaces=exposure(before, executed, price))


@st.composite
def surroundings(draw):
    return around(
        mode=draw(st.sampled_from(["ACTIVE", "ACTIVE", "REDUCING", "HALTED"])),
        orders_waiting=draw(st.integers(0, 3000)),
        open_value=draw(st.integers(0, 3_000_000).map(D)),
        projected_position=draw(st.integers(-3000, 3000).map(D)),
        is_duplicate=draw(st.booleans()),
        limits=draw(limits),
    )


def stricter(one, other):
    """Of each kind the harder of two limits: none is the softest; of the duplicate windows the longer is harder."""
    found = {}
    for field in fields(Limits):
        given = [limit for limit in (getattr(one, field.name), getattr(other, field.name)) if limit is not None]
        harder = max if field.name == "duplicate_window" else min
        found[field.name] = harder(given, key=lambda limit: limit.value) if given else None
    return Limits(**found)


@given(new_orders() | changes(), surroundings(), limits)
def test_a_stricter_limit_never_admits_more(order, place, others):
    under_both = screen(order, replace(place, limits=stricter(place.limits, others)))
    if under_both.denial is None:
        assert screen(order, place).denial is None


@st.composite
def just_admitted(draw):
    """An opening order, and surroundings whose limits it just keeps or keeps with something to spare."""
    order = replace(draw(new_orders()), closes=D(0), disclosed_quantity=D(0))
    sign = 1 if order.side == "BUY" else -1
    held, others = draw(whole), draw(whole)
    needs = {
        "order_quantity": order.quantity, "order_value": order.value, "open_value": others + order.value,
        "position_quantity": held + order.quantity, "orders_per_second": D(1),
    }  # fmt: skip
    slack = st.none() | st.just(D(0)) | whole
    drawn = {name: (need, draw(slack)) for name, need in needs.items()}
    kept = {name: Limit(need + more, SOURCE) for name, (need, more) in drawn.items() if more is not None}
    place = around(open_value=others, projected_position=sign * (held + order.quantity), limits=Limits(**kept))
    return order, place


@given(just_admitted(), st.data())
def test_a_smaller_order_at_the_same_price_is_admitted_where_a_larger_one_is(pair, data):
    order, place = pair
    assert screen(order, place).denial is None
    units = data.draw(st.integers(1, int(order.quantity)).map(D))
    less = (order.quantity - units) * (1 if order.side == "BUY" else -1)
    smaller = replace(order, quantity=units, value=units * order.price)
    nearer = replace(place, projected_position=place.projected_position - less)
    assert screen(smaller, nearer).denial is None


@given(just_admitted(), st.sampled_from(sorted(CODE_OF_LIMIT)), st.data())
def test_a_limit_that_refuses_names_what_it_compared_and_whose_it_is(pair, name, data):
    order, place = pair
    highest = {"order_quantity": order.quantity, "orders_per_second": 1, "position_quantity": order.quantity}
    low = Limit(D(data.draw(st.integers(0, int(highest.get(name, order.value)) - 1))), SOURCE)
    denial = screen(order, replace(place, limits=replace(place.limits, **{name: low}))).denial
    assert denial is not None
    assert denial.code == CODE_OF_LIMIT[name]
    allowed = low.value * LONGEST_WAIT_SECONDS if name == "orders_per_second" else low.value
    assert D(denial.value) > D(denial.limit) == allowed
    assert denial.source == SOURCE
    assert {denial.value, denial.limit} <= set(re.split(r"[ ,:]+", denial.message))
    assert SOURCE in denial.message
    assert denial.pointer == ("" if denial.code == Denial.ORDER_RATE else "/quantity")


@given(new_orders() | changes(), surroundings())
def test_the_record_is_of_passed_checks_and_at_most_one_refusal_at_the_end(order, place):
    verdict = screen(order, place)
    *before, last = verdict.findings
    assert all(finding.passed and not finding.message and not finding.pointer for finding in before)
    assert (verdict.denial is None) == last.passed
    assert last.passed or last.message
    assert len({finding.code for finding in verdict.findings}) == len(verdict.findings)
    assert screen(order, place) == verdict


@given(new_orders(), surroundings())
def test_a_switch_that_is_thrown_lets_no_new_exposure_through(order, place):
    admitted = screen(order, place).denial is None
    if place.mode == "HALTED":
        assert not admitted
    if place.mode == "REDUCING" and admitted:
        assert order.closes == order.quantity


@given(changes(), surroundings())
def test_a_change_that_asks_for_no_more_than_the_order_has_is_refused_by_no_limit(order, place):
    """However low the limits were set meanwhile: to refuse the smaller order would keep the larger one alive."""
    had, sign = order.replaces, 1 if order.side == "BUY" else -1
    quantity, price = min(order.quantity, had.quantity), had.value / had.quantity
    smaller = replace(
        order, quantity=quantity, price=price, value=quantity * price, closes=D(0), disclosed_quantity=D(0)
    )
    projected = sign * (had.quantity + quantity)
    denial = screen(smaller, replace(place, mode="ACTIVE", projected_position=projected)).denial
    assert denial is None or denial.code not in CODE_OF_LIMIT.values() | {Denial.DUPLICATE}


EXECUTED_HALF = exposure(D(10), D(5), D(1000))


@pytest.mark.parametrize(
    ("mode", "change", "passes"),
    [
        ("REDUCING", {"closes": D(5)}, True),  # all that is left of it closes
        ("REDUCING", {"closes": D(4)}, False),
        ("REDUCING", {"replaces": replace(EXECUTED_HALF, loses_units_only=True)}, True),
        ("HALTED", {"closes": D(5)}, False),
        ("HALTED", {"replaces": replace(EXECUTED_HALF, loses_units_only=True)}, False),
        ("ACTIVE", {}, True),
    ],
)
def test_of_a_change_the_part_that_may_still_execute_decides_under_a_switch(mode, change, passes):
    order = proposal(**{"replaces": EXECUTED_HALF} | change)
    denial = screen(order, around(mode=mode, mode_source="ACCOUNT switch")).denial
    assert (denial is None) == passes
    if denial is not None:
        assert (denial.code, denial.value, denial.limit) == (Denial.KILL_SWITCH, mode, "ACTIVE")
        assert "ACCOUNT switch" in denial.message


def limited(name, value):
    return {"limits": Limits(**{name: Limit(D(value), SOURCE)})}


@pytest.mark.parametrize(
    ("order", "place", "compared"),
    [
        # 10 at 1000, half executed: 5,000 of the 20,000 that are open are its own. At 1010 it would be 5,050 of 20,050.
        ({"price": D(1010)}, {"open_value": D(20_000)} | limited("open_value", 20_049), "20050"),
        ({"quantity": D(12)}, {"open_value": D(20_000)} | limited("open_value", 21_999), "22000"),
        # The whole order counts towards the limits of one order, executed units among it.
        ({"quantity": D(12)}, limited("order_quantity", 11), "12"),
        ({"quantity": D(12)}, limited("order_value", 11_999), "12000"),
        # 30 if all executed, of which the old ten are the order's own; with twelve instead it is 22 + 10 more.
        ({"quantity": D(12)}, {"projected_position": D(42)} | limited("position_quantity", 31), "32"),
        (
            {"side": "SELL", "quantity": D(12)},
            {"projected_position": D(-42)} | limited("position_quantity", 31),
            "32",
        ),
    ],
)
def test_a_change_is_measured_by_what_it_would_add_and_nothing_twice(order, place, compared):
    denial = screen(proposal(**{"replaces": EXECUTED_HALF} | order), around(**place)).denial
    assert denial is not None
    assert denial.value == compared
    enough = {"limits": Limits(**{name: Limit(D(compared), SOURCE) for name in _limited(place)})}
    assert screen(proposal(**{"replaces": EXECUTED_HALF} | order), around(**place | enough)).denial is None


def _limited(place):
    return [field.name for field in fields(Limits) if getattr(place["limits"], field.name) is not None]


@pytest.mark.parametrize("name", ["orders_per_second", "duplicate_window"])
def test_a_change_is_no_further_order_and_no_second_one(name):
    place = around(orders_waiting=500, is_duplicate=True, **limited(name, 1))
    assert screen(proposal(), place).denial is not None
    assert screen(proposal(replaces=EXECUTED_HALF), place).denial is None


@pytest.mark.parametrize(
    ("price", "trigger", "pointer"),
    [
        (D("1000.03"), D(1000), "/price"), (D(1000), D("1000.03"), "/stopPrice"), (D(1101), D(1000), "/price"),
        (D(1100), D(1101), "/stopPrice"), (D(1000), D("1000.05"), "/price"), (D(1000), D("999.95"), "/stopPrice"),
    ],
)  # fmt: skip
def test_of_two_prices_the_wrong_one_is_pointed_at(price, trigger, pointer):
    order = proposal(type="STOP_LIMIT", price=price, stop_price=trigger)
    denial = screen(order, around()).denial
    assert denial is not None
    assert denial.pointer == pointer


def test_a_stop_whose_last_price_is_unknown_is_judged_by_its_own_prices_alone():
    low = proposal(type="STOP_LIMIT", price=D(950), stop_price=D(950))
    assert screen(low, around(last_price=None)).denial is None
    assert screen(low, around(last_price=D(951))).denial.code == Denial.PRICE_RELATION
    crossed = replace(low, price=D(949))
    assert screen(crossed, around(last_price=None)).denial.code == Denial.PRICE_RELATION


def test_an_account_that_may_trade_nothing_is_told_so():
    denial = screen(proposal(), around(products=[])).denial
    assert denial is not None
    assert denial.message == "The account may trade no product."
