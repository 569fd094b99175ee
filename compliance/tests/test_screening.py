"""The rules as a table: at the limit an order passes, one step beyond it is refused with the rule's own code."""

from dataclasses import replace
from datetime import date
from decimal import Decimal as D

import pytest

from compliance.models import RiskLimit
from compliance.screening.facts import Contract, Denial, Exposure, Limit, Limits, Proposal, Surroundings
from compliance.screening.limits import strictest
from compliance.screening.rules import RULES, screen

CONTRACT = Contract(
    is_tradable=True, tick_size=D("0.05"), lot_size=5, freeze_quantity=D(500), lower_circuit=D(900),
    upper_circuit=D(1100), expiry=date(2026, 11, 26),
)  # fmt: skip
LIMITS = Limits(
    order_quantity=Limit(D(400), "HOUSE limits v1"), order_value=Limit(D(350_000), "HOUSE limits v1"),
    open_value=Limit(D(1_000_000), "HOUSE limits v1"), position_quantity=Limit(D(600), "HOUSE limits v1"),
    orders_per_second=Limit(D(10), "HOUSE limits v1"), duplicate_window=Limit(D(5), "HOUSE limits v1"),
)  # fmt: skip
BUY = Proposal(
    side="BUY", type="LIMIT", product="CNC", quantity=D(10), price=D(1000), stop_price=None, disclosed_quantity=D(0),
    time_in_force="DAY", is_amo=False, value=D(10_000), closes=D(0),
)  # fmt: skip
AROUND = Surroundings(
    trade_date=date(2026, 11, 20), account_is_active=True, products=["CNC", "MIS"], contract=CONTRACT, has_broker=True,
    market_is_open=True, mode="ACTIVE", mode_source="", algo_named=False, algo_status="", orders_waiting=0,
    open_value=D(0), projected_position=D(10), is_duplicate=False, last_price=D(1000), limits=LIMITS,
)  # fmt: skip


def contract(**changes):
    return {"contract": replace(CONTRACT, **changes)}


#: code: (what passes, what is refused), each as (changes of the proposal, changes of its surroundings).
TABLE = [
    (Denial.ACCOUNT_INACTIVE, ({}, {}), ({}, {"account_is_active": False})),
    (Denial.KILL_SWITCH, ({}, {"mode": "ACTIVE"}), ({}, {"mode": "HALTED"})),
    (Denial.KILL_SWITCH, ({"closes": D(10)}, {"mode": "REDUCING"}), ({"closes": D(9)}, {"mode": "REDUCING"})),
    (Denial.KILL_SWITCH, ({"closes": D(10)}, {"mode": "REDUCING"}), ({"closes": D(10)}, {"mode": "HALTED"})),
    (Denial.ALGO_UNKNOWN, ({}, {"algo_named": True, "algo_status": "ACTIVE"}), ({}, {"algo_named": True})),
    (
        Denial.ALGO_SUSPENDED,
        ({}, {"algo_named": True, "algo_status": "ACTIVE"}),
        ({}, {"algo_named": True, "algo_status": "SUSPENDED"}),
    ),
    (Denial.INSTRUMENT_UNKNOWN, ({}, {}), ({}, {"contract": None})),
    (Denial.INSTRUMENT_NOT_TRADABLE, ({}, {}), ({}, contract(is_tradable=False))),
    (
        Denial.INSTRUMENT_EXPIRED,
        ({}, contract(expiry=date(2026, 11, 20))),
        ({}, contract(expiry=date(2026, 11, 19))),
    ),
    (Denial.PRODUCT_NOT_ALLOWED, ({"product": "MIS"}, {}), ({"product": "NRML"}, {})),
    (Denial.PRODUCT_NOT_ALLOWED, ({}, {}), ({}, {"products": []})),
    (Denial.NO_BROKER, ({}, {}), ({}, {"has_broker": False})),
    (Denial.TIME_IN_FORCE_UNSUPPORTED, ({"time_in_force": "TTL"}, {}), ({"time_in_force": "GTC"}, {})),
    (Denial.TIME_IN_FORCE_UNSUPPORTED, ({"time_in_force": "IOC"}, {}), ({"time_in_force": "FOK"}, {})),
    (Denial.MARKET_CLOSED, ({"is_amo": True}, {"market_is_open": False}), ({}, {"market_is_open": False})),
    (Denial.TICK_SIZE, ({"price": D("1000.05")}, {}), ({"price": D("1000.04")}, {})),
    (
        Denial.TICK_SIZE,
        ({"type": "STOP", "price": None, "stop_price": D("1000.05")}, {}),
        ({"type": "STOP", "price": None, "stop_price": D("1000.06")}, {}),
    ),
    (Denial.LOT_SIZE, ({"quantity": D(15)}, {}), ({"quantity": D(16)}, {})),
    (
        Denial.FREEZE_QUANTITY,
        ({"quantity": D(500)}, {"limits": Limits()}),
        ({"quantity": D(505)}, {"limits": Limits()}),
    ),
    (Denial.DISCLOSED_QUANTITY, ({"disclosed_quantity": D(10)}, {}), ({"disclosed_quantity": D(11)}, {})),
    (Denial.PRICE_BAND, ({"price": D(1100)}, {}), ({"price": D("1100.05")}, {})),
    (Denial.PRICE_BAND, ({"price": D(900)}, {}), ({"price": D("899.95")}, {})),
    (
        Denial.PRICE_BAND,
        ({"type": "STOP", "price": None, "stop_price": D(1100)}, {}),
        ({"type": "STOP", "price": None, "stop_price": D("1100.05")}, {}),
    ),
    # a BUY stop: trigger at or above the market, limit at or above the trigger; a SELL stop mirrored
    (
        Denial.PRICE_RELATION,
        ({"type": "STOP_LIMIT", "price": D(1010), "stop_price": D(1010)}, {}),
        ({"type": "STOP_LIMIT", "price": D("1009.95"), "stop_price": D(1010)}, {}),
    ),
    (
        Denial.PRICE_RELATION,
        ({"side": "SELL", "type": "STOP_LIMIT", "price": D(990), "stop_price": D(990)}, {}),
        ({"side": "SELL", "type": "STOP_LIMIT", "price": D("990.05"), "stop_price": D(990)}, {}),
    ),
    (
        Denial.PRICE_RELATION,
        ({"type": "STOP", "price": None, "stop_price": D(1000)}, {}),
        ({"type": "STOP", "price": None, "stop_price": D("999.95")}, {}),
    ),
    (
        Denial.PRICE_RELATION,
        ({"side": "SELL", "type": "STOP", "price": None, "stop_price": D(1000)}, {}),
        ({"side": "SELL", "type": "STOP", "price": None, "stop_price": D("1000.05")}, {}),
    ),
    (
        Denial.NO_FRESH_PRICE,
        ({"type": "MARKET", "price": None}, {}),
        ({"type": "MARKET", "price": None, "value": None}, {"last_price": None}),
    ),
    (
        Denial.NO_FRESH_PRICE,
        ({"type": "STOP", "price": None, "stop_price": D(1000)}, {}),
        ({"type": "STOP", "price": None, "stop_price": D(1000), "value": None}, {"last_price": None}),
    ),
    (Denial.ORDER_QUANTITY, ({"quantity": D(400)}, {}), ({"quantity": D(405)}, {})),
    (Denial.ORDER_VALUE, ({"value": D(350_000)}, {}), ({"value": D("350000.01")}, {})),
    (Denial.OPEN_VALUE, ({}, {"open_value": D(990_000)}), ({}, {"open_value": D("990000.01")})),
    (Denial.POSITION, ({}, {"projected_position": D(600)}), ({}, {"projected_position": D(601)})),
    (
        Denial.POSITION,
        ({"side": "SELL"}, {"projected_position": D(-600)}),
        ({"side": "SELL"}, {"projected_position": D(-601)}),
    ),
    (
        Denial.POSITION,
        ({"side": "SELL", "closes": D(10)}, {"projected_position": D(900)}),  # what only closes always may
        ({"side": "SELL", "closes": D(9)}, {"projected_position": D(900)}),
    ),
    (Denial.ORDER_RATE, ({}, {"orders_waiting": 599}), ({}, {"orders_waiting": 600})),
    (Denial.DUPLICATE, ({}, {}), ({}, {"is_duplicate": True})),
]
#: These two are decided under the books' locks, where the capital is (orders/tests/test_placement.py).
BY_THE_BOOKS = {Denial.INSUFFICIENT_CAPITAL, Denial.INSUFFICIENT_HOLDINGS, Denial.NO_RATE}


def verdict(proposal, around):
    return screen(replace(BUY, **proposal), replace(AROUND, **around))


def test_the_table_has_every_code():
    assert {code for code, _, _ in TABLE} | BY_THE_BOOKS == set(Denial)


@pytest.mark.parametrize(("code", "passes", "refused"), TABLE)
def test_at_the_limit_it_passes_and_beyond_it_is_refused(code, passes, refused):
    assert verdict(*passes).denial is None
    denial = verdict(*refused).denial
    assert denial is not None
    assert denial.code == code
    assert denial.message.endswith(".") or denial.code == Denial.DUPLICATE


@pytest.mark.parametrize(("code", "passes", "refused"), TABLE)
def test_a_refusal_names_the_first_rule_and_stops_there(code, passes, refused):
    """Of two faults the earlier rule speaks; what ran before it is on record as passed."""
    findings = verdict(*refused).findings
    assert [f.passed for f in findings] == [True] * (len(findings) - 1) + [False]
    worse = screen(replace(BUY, **refused[0]), replace(AROUND, **refused[1], **_halted(refused[1])))
    expected = code if code == Denial.ACCOUNT_INACTIVE else Denial.KILL_SWITCH
    assert worse.denial.code == expected


def _halted(around):
    return {} if "mode" in around else {"mode": "HALTED"}


def test_the_order_of_the_rules():
    """Whether one may trade at all, then the instrument, then the order's shape, then prices, then limits."""
    assert [rule.__name__ for rule in RULES] == [
        "account_active", "kill_switch", "algo_registered", "instrument_known", "instrument_tradable",
        "instrument_not_expired", "product_allowed", "broker_present", "time_in_force_supported", "session_open",
        "tick_size", "lot_size", "freeze_quantity", "disclosed_quantity", "price_band", "price_relation",
        "price_is_fresh", "order_quantity", "order_value", "open_value", "position", "order_rate", "duplicate",
    ]  # fmt: skip


def test_a_passed_order_has_every_check_on_record_with_value_and_limit():
    findings = {f.code: f for f in verdict({}, {}).findings}
    assert all(f.passed and not f.message for f in findings.values())
    assert (findings[Denial.ORDER_VALUE].value, findings[Denial.ORDER_VALUE].limit) == ("10000", "350000")
    assert (findings[Denial.ORDER_RATE].value, findings[Denial.ORDER_RATE].limit) == ("1", "600")
    assert (findings[Denial.LOT_SIZE].value, findings[Denial.LOT_SIZE].limit) == ("10", "5")
    assert findings[Denial.PRICE_BAND].limit == "900–1100"


@pytest.mark.parametrize(
    ("code", "pointer"),
    [
        (Denial.TICK_SIZE, "/price"), (Denial.LOT_SIZE, "/quantity"), (Denial.FREEZE_QUANTITY, "/quantity"),
        (Denial.INSTRUMENT_UNKNOWN, "/symbol"), (Denial.PRODUCT_NOT_ALLOWED, "/product"), (Denial.ORDER_RATE, ""),
        (Denial.TIME_IN_FORCE_UNSUPPORTED, "/timeInForce"), (Denial.ALGO_UNKNOWN, "/algoId"),
    ],
)  # fmt: skip
def test_a_refusal_points_at_the_field(code, pointer):
    refused = next(row[2] for row in TABLE if row[0] == code)
    assert verdict(*refused).denial.pointer == pointer


#: 400 units at 1000, half of them executed: what all limits but the position's allow in an order, to the last.
HAS = Exposure(
    quantity=D(400), executed=D(200), value=D(350_000), open_value=D(175_000), stop_price=None, loses_units_only=False
)  # fmt: skip
#: The same order again, as a change of it would leave it, in an account that is at every limit with it.
SAME = replace(BUY, quantity=D(400), value=D(350_000), replaces=HAS)
FULL = replace(AROUND, open_value=D(1_000_000), projected_position=D(1000), orders_waiting=600, is_duplicate=True)


def changed(**changes):
    around = {"projected_position": FULL.projected_position + changes.get("quantity", SAME.quantity) - SAME.quantity}
    return screen(replace(SAME, **changes), replace(FULL, **around))


class TestAChange:
    """Judged by what it would add to what the order uses already, in an account that is at its limits."""

    def test_that_adds_nothing_passes_at_every_limit(self):
        assert changed().denial is None
        assert changed(price=D(999)).denial is None

    def test_that_lowers_passes(self):
        assert changed(quantity=D(300), value=D(262_500)).denial is None

    @pytest.mark.parametrize(
        ("change", "code", "value", "limit"),
        [
            ({"quantity": D(405)}, Denial.ORDER_QUANTITY, "405", "400"),
            ({"value": D(350_001)}, Denial.ORDER_VALUE, "350001", "350000"),
        ],
    )
    def test_that_raises_beyond_a_limit_of_one_order_is_refused(self, change, code, value, limit):
        denial = changed(**change).denial
        assert (denial.code, denial.value, denial.limit, denial.pointer) == (code, value, limit, "/quantity")

    def test_that_raises_beyond_the_limit_of_all_orders_is_refused_with_the_value_of_the_whole(self):
        limits = replace(LIMITS, order_value=None)
        denial = screen(replace(SAME, value=D(350_002)), replace(FULL, limits=limits)).denial
        assert (denial.code, denial.value, denial.limit) == (Denial.OPEN_VALUE, "1000001", "1000000")
        assert "would be 1000001, above the limit 1000000" in denial.message

    def test_that_raises_the_position_beyond_its_limit_is_refused_with_the_whole_position(self):
        limits = replace(LIMITS, order_quantity=None, open_value=None)
        denial = screen(replace(SAME, quantity=D(405)), replace(FULL, limits=limits, projected_position=D(1005))).denial
        assert (denial.code, denial.value, denial.limit) == (Denial.POSITION, "605", "600")

    def test_of_a_sale_is_judged_by_the_short_position(self):
        sale = replace(SAME, side="SELL", product="MIS")
        limits = replace(LIMITS, order_quantity=None, open_value=None)
        at_limit = replace(FULL, limits=limits, projected_position=D(-1000))
        assert screen(sale, at_limit).denial is None
        beyond = screen(replace(sale, quantity=D(405)), replace(at_limit, projected_position=D(-1005))).denial
        assert (beyond.code, beyond.value) == (Denial.POSITION, "605")

    @pytest.mark.parametrize("name", ["order_quantity", "order_value", "open_value", "position_quantity"])
    def test_that_lowers_passes_a_limit_that_was_lowered_since(self, name):
        limits = replace(LIMITS, **{name: Limit(D(5), "HOUSE limits v2")})
        lower = replace(SAME, quantity=D(300), value=D(262_500))
        around = replace(FULL, limits=limits, projected_position=D(900))
        assert screen(lower, around).denial is None
        higher = screen(replace(SAME, quantity=D(405), value=D(354_375)), replace(around, projected_position=D(1005)))
        assert not higher.denial.passed

    def test_keeps_a_trigger_that_has_fired_but_is_given_none_that_would_fire_at_once(self):
        fired = replace(SAME, type="STOP_LIMIT", stop_price=D(990), replaces=replace(HAS, stop_price=D(990)))
        assert screen(fired, FULL).denial is None
        assert screen(replace(fired, stop_price=D(995)), FULL).denial.code == Denial.PRICE_RELATION
        assert screen(replace(fired, price=D(985)), FULL).denial.code == Denial.PRICE_RELATION

    def test_is_no_further_order_and_no_duplicate(self):
        codes = {finding.code for finding in changed().findings}
        assert codes.isdisjoint({Denial.ORDER_RATE, Denial.DUPLICATE})

    @pytest.mark.parametrize(
        ("closes", "loses_units_only", "passes"),
        [(D(200), False, True), (D(199), False, False), (D(0), True, True), (D(0), False, False)],
    )
    def test_under_reducing_passes_if_what_is_left_closes_or_if_units_are_only_taken_away(
        self, closes, loses_units_only, passes
    ):
        change = replace(SAME, closes=closes, replaces=replace(HAS, loses_units_only=loses_units_only))
        assert (screen(change, replace(FULL, mode="REDUCING")).denial is None) == passes
        assert screen(change, replace(FULL, mode="HALTED")).denial.code == Denial.KILL_SWITCH


def test_what_the_exchange_gives_no_figure_for_is_not_checked():
    bare = replace(CONTRACT, freeze_quantity=None, lower_circuit=None, upper_circuit=None, expiry=None)
    codes = {f.code for f in verdict({"price": D(5)}, {"contract": bare, "limits": Limits()}).findings}
    assert codes.isdisjoint(
        {Denial.FREEZE_QUANTITY, Denial.PRICE_BAND, Denial.INSTRUMENT_EXPIRED, Denial.ORDER_VALUE, Denial.DUPLICATE}
    )


def test_a_window_of_zero_switches_the_duplicate_guard_off():
    limits = replace(LIMITS, duplicate_window=Limit(D(0), "HOUSE limits v1"))
    assert verdict({}, {"is_duplicate": True, "limits": limits}).denial is None


class TestStrictest:
    def limits(self, *rows):
        return strictest([RiskLimit(version=number, **row) for number, row in enumerate(rows, start=1)])

    @pytest.mark.parametrize(
        ("column", "name"),
        [
            ("max_order_quantity", "order_quantity"), ("max_order_value", "order_value"),
            ("max_open_value", "open_value"), ("max_position_quantity", "position_quantity"),
            ("max_orders_per_second", "orders_per_second"),
        ],
    )  # fmt: skip
    def test_the_least_of_all_scopes_holds(self, column, name):
        both = self.limits({"scope": "HOUSE", column: 9}, {"scope": "ACCOUNT", column: 7})
        assert getattr(both, name) == Limit(D(7), "ACCOUNT limits v2")
        house = self.limits({"scope": "HOUSE", column: 6}, {"scope": "ACCOUNT", column: 7})
        assert getattr(house, name) == Limit(D(6), "HOUSE limits v1")

    def test_an_empty_limit_is_none_of_this_scopes(self):
        limits = self.limits({"scope": "HOUSE", "max_order_value": None}, {"scope": "ACCOUNT", "max_order_value": 5})
        assert limits.order_value == Limit(D(5), "ACCOUNT limits v2")
        assert self.limits({"scope": "HOUSE"}).order_value is None

    def test_the_longest_duplicate_window_holds(self):
        limits = self.limits(
            {"scope": "HOUSE", "duplicate_window_seconds": 2}, {"scope": "ACCOUNT", "duplicate_window_seconds": 5}
        )
        assert limits.duplicate_window == Limit(D(5), "ACCOUNT limits v2")

    @pytest.mark.parametrize("rate", [5, 50])
    def test_a_registered_algorithm_brings_its_own_rate(self, rate):
        """SEBI circular of 4 Feb 2025: above the threshold only what the exchange knows."""
        limits = self.limits(
            {"scope": "HOUSE", "max_orders_per_second": 10, "max_order_value": 100},
            {"scope": "ALGO", "max_orders_per_second": rate, "max_order_value": 200},
        )
        assert limits.orders_per_second == Limit(D(rate), "ALGO limits v2")
        assert limits.order_value == Limit(D(100), "HOUSE limits v1")

    def test_an_algorithm_without_a_rate_keeps_the_general_one(self):
        limits = self.limits({"scope": "HOUSE", "max_orders_per_second": 10}, {"scope": "ALGO", "max_order_value": 1})
        assert limits.orders_per_second == Limit(D(10), "HOUSE limits v1")

    def test_no_rows_no_limits(self):
        assert strictest([]) == Limits()
