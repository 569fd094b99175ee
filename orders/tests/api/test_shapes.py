"""Whether an order can be understood: which fields go with which type, for every pair, and what becomes of them."""

from decimal import Decimal as D
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.products import ProductCode
from ledger.market.hours import HOURS
from oms.lib.errors import Invalid
from orders.api.amending_shapes import CancelAll, CancelOrder, UpdateOrder
from orders.api.shapes import PlaceOrder, order_request
from orders.types import PRICED, STOPS, UNPRICED, OrderType, Side, TimeInForce, Variety

BODY: dict[str, Any] = {"accountId": "DEMO", "symbol": "SBIN", "side": "BUY", "type": "MARKET", "quantity": D(10)}


def faults(shape: Any, body: dict[str, Any]) -> set[tuple[str, str]]:
    try:
        shape.read(body)
    except Invalid as refusal:
        return {(error.pointer, error.code) for error in refusal.errors}
    return set()


@pytest.mark.parametrize(("kind", "priced", "stopped"), list(product(OrderType, [False, True], [False, True])))
def test_prices_go_with_the_types_that_have_them_and_with_no_other(
    kind: OrderType, priced: bool, stopped: bool
) -> None:
    body = BODY | {"type": kind} | ({"price": D(100)} if priced else {}) | ({"stopPrice": D(99)} if stopped else {})
    wrong = set()
    for name, given_, wanted in (("/price", priced, kind in PRICED), ("/stopPrice", stopped, kind in STOPS)):
        if given_ != wanted:
            wrong.add((name, "required" if wanted else "not_allowed"))
    assert faults(PlaceOrder, body) == wrong


@pytest.mark.parametrize(("validity", "minutes"), list(product(["DAY", "IOC", "TTL"], [None, 1, 1440])))
def test_minutes_go_with_a_time_to_live(validity: str, minutes: int | None) -> None:
    body = BODY | {"timeInForce": validity} | ({} if minutes is None else {"validityMinutes": minutes})
    wrong = {("TTL", True): "required", ("DAY", False): "not_allowed", ("IOC", False): "not_allowed"}
    code = wrong.get((validity, minutes is None))
    assert faults(PlaceOrder, body) == ({("/validityMinutes", code)} if code else set())


@pytest.mark.parametrize(("variety", "legs"), list(product(Variety, [None, 2, 10])))
def test_legs_go_with_icebergs(variety: Variety, legs: int | None) -> None:
    body = BODY | {"variety": variety} | ({} if legs is None else {"icebergLegs": legs})
    is_iceberg = variety == Variety.ICEBERG
    code = None if is_iceberg == (legs is not None) else "required" if is_iceberg else "not_allowed"
    assert faults(PlaceOrder, body) == ({("/icebergLegs", code)} if code else set())


@pytest.mark.parametrize(
    ("kind", "protection", "code"),
    [
        ("MARKET", "-1", None), ("MARKET", "0.01", None), ("MARKET", "100", None), ("STOP", "2.5", None),
        ("MARKET", "0", "out_of_range"), ("MARKET", "-2", "out_of_range"), ("MARKET", "100.01", "out_of_range"),
        ("LIMIT", "2", "not_allowed"), ("STOP_LIMIT", "-1", "not_allowed"), ("MARKET", "2.555", "too_precise"),
    ],
)  # fmt: skip
def test_protection_goes_with_orders_that_name_no_price(kind: str, protection: str, code: str | None) -> None:
    prices = {"LIMIT": {"price": 1}, "STOP": {"stopPrice": 1}, "STOP_LIMIT": {"price": 1, "stopPrice": 1}}
    body = BODY | {"type": kind, "marketProtection": D(protection)}
    body |= {name: D(value) for name, value in prices.get(kind, {}).items()}
    assert faults(PlaceOrder, body) == ({("/marketProtection", code)} if code else set())


@pytest.mark.parametrize(("disclosed", "is_taken"), [(0, True), (10, True), (11, False), (-1, False)])
def test_no_more_is_disclosed_than_there_is(disclosed: int, is_taken: bool) -> None:
    wrong = faults(PlaceOrder, BODY | {"disclosedQuantity": D(disclosed)})
    assert wrong == (set() if is_taken else {("/disclosedQuantity", "out_of_range")})


@pytest.mark.parametrize(
    ("symbol", "code"),
    [
        ("SBIN", None), ("M&M", None), ("BAJAJ-AUTO", None), ("NIFTY 50", None), ("NSE:SBIN", None), ("3MINDIA", None),
        ("", "blank"), ("sbin", "invalid"), ("SB\nIN", "invalid"), ("NSE:", "invalid"), (":SBIN", "invalid"),
        ("NSE:BSE:SBIN", "invalid"), ("S" * 41, "invalid"), ("&M", "invalid"), ("SBIN;", "invalid"),
        ("LSE:SBIN", "unknown_exchange"),
    ],
)  # fmt: skip
def test_symbols(symbol: str, code: str | None) -> None:
    assert faults(PlaceOrder, BODY | {"symbol": symbol}) == ({("/symbol", code)} if code else set())


@pytest.mark.parametrize(
    ("name", "longest"),
    [("accountId", 36), ("portfolioId", 36), ("clientOrderId", 64), ("strategyId", 36), ("algoId", 36), ("notes", 500)],
)
def test_texts_have_an_end(name: str, longest: int) -> None:
    assert faults(PlaceOrder, BODY | {name: "x" * longest}) == set()
    assert faults(PlaceOrder, BODY | {name: "x" * (longest + 1)}) == {(f"/{name}", "max_length")}


@pytest.mark.parametrize(
    "bad", [{"quantity": D(0)}, {"price": D(0)}, {"price": D("1.00001")}, {"validityMinutes": 1441}]
)
def test_faults_of_values_come_before_those_of_their_company(bad: dict[str, Any]) -> None:
    [(pointer, _)] = faults(PlaceOrder, BODY | {"type": "LIMIT", "price": D(1), "timeInForce": "DAY"} | bad)
    assert pointer == f"/{next(iter(bad))}"


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Any order that can be understood."""
    kind = draw(st.sampled_from(list(OrderType)))
    validity, variety = draw(st.sampled_from(["DAY", "IOC", "TTL"])), draw(st.sampled_from(list(Variety)))
    price = st.decimals(min_value="0.0001", max_value=10**6, places=4)
    body = BODY | {
        "type": kind, "side": draw(st.sampled_from(list(Side))), "timeInForce": validity, "variety": variety,
        "quantity": D(draw(st.integers(1, 10**9))), "product": draw(st.sampled_from(ProductCode.values)),
    }  # fmt: skip
    body |= {"price": draw(price)} if kind in PRICED else {}
    body |= {"stopPrice": draw(price)} if kind in STOPS else {}
    body |= {"validityMinutes": draw(st.integers(1, 1440))} if validity == "TTL" else {}
    body |= {"icebergLegs": draw(st.integers(2, 10))} if variety == Variety.ICEBERG else {}
    optional = {"strategyId": "s", "algoId": "a", "notes": "", "clientOrderId": "c-1", "portfolioId": "DEMO-2"}
    return body | {name: optional[name] for name in draw(st.sets(st.sampled_from(sorted(optional))))}


@given(bodies())
def test_a_request_is_what_the_body_said_to_the_last_digit(body: dict[str, Any]) -> None:
    request = order_request(PlaceOrder.read(body))
    assert (request.account, request.side, request.type, request.quantity) == (
        "DEMO", body["side"], body["type"], body["quantity"],
    )  # fmt: skip
    assert (request.price, request.stop_price) == (body.get("price"), body.get("stopPrice"))
    assert request.time_in_force is TimeInForce(body["timeInForce"])
    assert (request.validity_minutes, request.iceberg_legs) == (body.get("validityMinutes"), body.get("icebergLegs"))
    assert (request.client_order_id, request.strategy_id) == (body.get("clientOrderId", ""), body.get("strategyId", ""))
    assert request.portfolio == body.get("portfolioId")
    assert request.market_protection == (D(-1) if request.type in UNPRICED else None)


@pytest.mark.parametrize(
    ("given_", "exchange"),
    [({}, "NSE"), ({"exchange": "BSE"}, "BSE"), ({"symbol": "BSE:SBIN"}, "BSE"), ({"symbol": "NFO:SBIN", "exchange": "NFO"}, "NFO")],
)  # fmt: skip
def test_where_a_symbol_is_traded(given_: dict[str, str], exchange: str) -> None:
    request = order_request(PlaceOrder.read(BODY | given_))
    assert (request.exchange, request.symbol) == (exchange, "SBIN")
    assert exchange in HOURS


TERMS: dict[str, Any] = {
    "quantity": D(5), "price": D(1), "stopPrice": D(1), "type": "LIMIT", "timeInForce": "DAY", "disclosedQuantity": D(0),
}  # fmt: skip


@pytest.mark.parametrize("name", TERMS)
def test_one_new_term_makes_a_modification_and_none_a_cancellation(name: str) -> None:
    term = {name: TERMS[name]}
    assert faults(UpdateOrder, {"action": "MODIFY", **term}) == set()
    assert faults(UpdateOrder, {"action": "CANCEL", **term}) == {(f"/{name}", "not_allowed")}
    assert faults(UpdateOrder, {"action": "MODIFY", "notes": "why"}) == {("", "required")}
    assert faults(UpdateOrder, {"action": "CANCEL", "notes": "why"}) == set()


def test_a_cancellation_names_every_term_that_it_may_not_have() -> None:
    assert faults(UpdateOrder, {"action": "CANCEL", **TERMS}) == {(f"/{name}", "not_allowed") for name in TERMS}


def test_cancelling_needs_nothing_and_takes_nothing_else() -> None:
    for shape in (CancelOrder, CancelAll):
        assert faults(shape, {}) == faults(shape, {"notes": ""}) == set()
        assert faults(shape, {"notes": "x" * 301}) == {("/notes", "max_length")}
        assert faults(shape, {"quantity": 1}) == {("/quantity", "unknown_field")}
    assert faults(CancelAll, {"accountId": "DEMO", "symbol": "NSE:SBIN", "side": "SELL", "strategyId": "s"}) == set()
