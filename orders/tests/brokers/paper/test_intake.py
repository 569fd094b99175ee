"""From a form to an order: Kite's form of protected orders, the legs of icebergs, what a modification sets."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.clock import IST, Clock
from orders.brokers.paper.errors import InputError
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.intake import build, changes, expiry, find, first_leg, price_terms
from orders.brokers.paper.market import Market, PriceChange
from orders.brokers.paper.orders import Order
from orders.brokers.paper.requests import read_modification, read_order
from orders.brokers.paper.session import Session

CATALOGUE = Catalogue.read()
SBIN, FUTURE = CATALOGUE.by_key["NSE:SBIN"], CATALOGUE.by_key["NFO:NIFTY26NOVFUT"]
SESSION = Session("t", "p", "paper", "PX0001", "", "")
NOON = datetime(2026, 11, 23, 12, tzinfo=IST)
FORM = {
    "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "order_type": "LIMIT", "product": "CNC",
    "quantity": 10, "price": 970,
}  # fmt: skip


@pytest.fixture
def market() -> Market:
    market = Market(CATALOGUE, 1, {})
    market.change(PriceChange("NSE:SBIN", 97_000, True, 1000))
    return market


@pytest.fixture
def clock() -> Clock:
    return Clock("market", frozen_at=NOON)


def read(variety: str = "regular", **form: Any) -> Any:
    return read_order(variety, {name: str(value) for name, value in (FORM | form).items()})


def built(market: Market, clock: Clock, variety: str = "regular", **form: Any) -> Order:
    return build("1", SESSION, read(variety, **form), SBIN, market, clock)


@pytest.mark.parametrize(
    ("form", "becomes", "price", "trigger"),
    [
        ({}, "LIMIT", 970_00, 0),
        ({"order_type": "MARKET", "market_protection": 1}, "LIMIT", 979_70, 0),
        ({"order_type": "MARKET", "market_protection": 1, "transaction_type": "SELL"}, "LIMIT", 960_30, 0),
        ({"order_type": "MARKET", "market_protection": -1}, "LIMIT", 974_85, 0),  # half a percent above ₹500
        ({"order_type": "SL", "price": 985, "trigger_price": 980}, "SL", 985_00, 980_00),
        ({"order_type": "SL-M", "trigger_price": 980, "market_protection": 1}, "SL", 989_80, 980_00),
        ({"order_type": "LIMIT", "trigger_price": 980}, "LIMIT", 970_00, 0),  # a limit order has no trigger
    ],
)
def test_kite_has_only_limits_in_its_book(
    market: Market, clock: Clock, form: dict[str, Any], becomes: str, price: int, trigger: int
) -> None:
    order = built(market, clock, **form)
    assert (order.order_type, order.price, order.trigger_price) == (becomes, price, trigger)
    protected = [tag for tag in order.tags if tag.startswith("mktp")]
    assert bool(protected) == ("market_protection" in form)


def test_an_order_without_protection_is_no_market_order(market: Market) -> None:
    quote = market.quotes[SBIN.instrument_token]
    for kind, trigger in (("MARKET", 0), ("SL-M", 98_000)):
        with pytest.raises(InputError, match="market protection"):
            price_terms(SBIN, quote, kind, True, 0, trigger, Decimal(0))


def test_a_fresh_order_carries_its_tags_and_its_day(market: Market, clock: Clock) -> None:
    order = built(market, clock, tag="mine", order_type="MARKET", market_protection=2)
    assert order.tags == ["mine", "mktp", "mktp:2.00"]
    assert (order.tag, order.day, order.order_timestamp) == ("mine", "2026-11-23", "2026-11-23 12:00:00")
    assert (order.user_id, order.api_key, order.filled_quantity) == ("PX0001", "paper", 0)


def test_what_is_quoted_is_not_always_traded(clock: Clock) -> None:
    for exchange, symbol in (("NSE", "NIFTY 50"), ("NSE", "GHOST"), ("NFO", "SBIN")):
        with pytest.raises(InputError, match="either expired or does not exist"):
            find(CATALOGUE, read(exchange=exchange, tradingsymbol=symbol), clock)
    late = Clock("open", frozen_at=datetime(2027, 1, 1, tzinfo=IST))
    with pytest.raises(InputError):
        find(CATALOGUE, read(exchange="NFO", tradingsymbol="NIFTY26NOVFUT"), late)


@pytest.mark.parametrize("instrument", [SBIN, FUTURE])
@given(legs=st.integers(2, 50), lots=st.integers(1, 5000))
def test_the_legs_of_an_iceberg_are_whole_lots_and_add_up(instrument: Any, legs: int, lots: int) -> None:
    quantity = max(lots, legs) * instrument.lot_size
    leg, meta = first_leg(read("iceberg", quantity=quantity, iceberg_legs=legs), instrument)
    told = meta["iceberg"]
    assert leg % instrument.lot_size == 0
    assert (told["leg"], told["leg_quantity"], told["total_quantity"]) == (1, leg, quantity)
    assert told["remaining_quantity"] == quantity - leg
    assert 2 <= told["legs"] <= legs
    assert (told["legs"] - 1) * leg < quantity <= told["legs"] * leg, "all legs full but the last"


def test_other_varieties_are_shown_whole() -> None:
    assert first_leg(read(quantity=500), SBIN) == (500, {})


def test_a_time_to_live_is_in_minutes_of_the_exchanges_clock() -> None:
    assert expiry("TTL", 5, NOON) == NOON.timestamp() + 300
    assert expiry("DAY", 5, NOON) is None


class TestChanges:
    """What a modification sets, of an order that is open and partly filled."""

    def order(self, market: Market, clock: Clock, **given: Any) -> Order:
        order = built(market, clock, quantity=10)
        order.filled_quantity = 4
        for name, value in given.items():
            setattr(order, name, value)
        return order

    def changed(self, market: Market, clock: Clock, form: dict[str, Any], **given: Any) -> dict[str, Any]:
        request = read_modification({name: str(value) for name, value in form.items()})
        return changes(self.order(market, clock, **given), request, SBIN, market.quotes[SBIN.instrument_token])

    def test_what_is_not_said_stays(self, market: Market, clock: Clock) -> None:
        change = self.changed(market, clock, {"price": 965})
        assert (change["price"], change["quantity"], change["order_type"], change["validity"]) == (
            965_00, 10, "LIMIT", "DAY",
        )  # fmt: skip

    @pytest.mark.parametrize(("quantity", "is_taken"), [(5, True), (4, False), (3, False)])
    def test_the_quantity_is_the_whole_and_stays_above_what_is_filled(
        self, market: Market, clock: Clock, quantity: int, is_taken: bool
    ) -> None:
        if is_taken:
            assert self.changed(market, clock, {"quantity": quantity})["quantity"] == quantity
        else:
            with pytest.raises(InputError, match="4 is already filled"):
                self.changed(market, clock, {"quantity": quantity})

    @pytest.mark.parametrize(
        ("form", "words"),
        [
            ({"order_type": "SL"}, "`trigger_price`"),
            ({"order_type": "SL-M"}, "`trigger_price`"),
            ({"order_type": "SL", "trigger_price": 969, "price": 980}, "should be higher than the last"),
            ({"order_type": "MARKET"}, "market protection"),
            ({"validity": "TTL"}, "`validity_ttl`"),
            ({"price": "965.03"}, "Tick size"),
            ({"disclosed_quantity": 11}, "`disclosed_quantity`"),
        ],
    )
    def test_the_rules_of_the_door_hold_again(
        self, market: Market, clock: Clock, form: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(InputError, match=words):
            self.changed(market, clock, form)

    def test_a_stop_that_has_fired_need_not_lie_beyond_the_market_any_more(self, market: Market, clock: Clock) -> None:
        fired = {"order_type": "SL", "trigger_price": 960_00, "price": 972_00}
        with pytest.raises(InputError, match="should be higher"):
            self.changed(market, clock, {"price": 973}, **fired)
        assert self.changed(market, clock, {"price": 973}, triggered=True, **fired)["price"] == 973_00

    def test_a_new_protection_takes_the_place_of_the_old(self, market: Market, clock: Clock) -> None:
        tags = ["mine", "mktp", "mktp:1.00"]
        change = self.changed(market, clock, {"order_type": "MARKET", "market_protection": 2}, tags=tags)
        assert (change["order_type"], change["tags"]) == ("LIMIT", ["mine", "mktp", "mktp:2.00"])
        assert self.changed(market, clock, {"price": 965}, tags=tags)["tags"] == tags

    def test_a_time_to_live_ends_with_its_validity(self, market: Market, clock: Clock) -> None:
        change = self.changed(market, clock, {"validity": "DAY"}, validity="TTL", validity_ttl=5)
        assert (change["validity"], change["validity_ttl"]) == ("DAY", 0)
