"""One client's money and units as properties: whatever is traded, nothing is created and nothing lost."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.account import Account, Holding, Position
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.orders import OPEN, Order

CATALOGUE = Catalogue.read()
SBIN, FUTURE, CALL = (CATALOGUE.by_key[key] for key in ("NSE:SBIN", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE"))
CASH = 10**12
trades = st.lists(st.tuples(st.booleans(), st.integers(1, 500), st.integers(1, 200_000)), max_size=30)


def account(*, units: int = 0) -> Account:
    """PX0001 with much cash, and with `units` of SBIN bought at ₹900 each."""
    held = {SBIN.key: Holding(SBIN.key, units, cost=units * 90_000)} if units else {}
    return Account("PX0001", "Paper Trader", CASH, CASH, holdings=held)


def order(**given: Any) -> Order:
    fields: dict[str, Any] = {
        "order_id": "1", "user_id": "PX0001", "api_key": "paper", "day": "2026-11-23", "variety": "regular",
        "exchange": "NSE", "tradingsymbol": "SBIN", "instrument_token": SBIN.instrument_token,
        "transaction_type": "BUY", "order_type": "LIMIT", "product": "MIS", "quantity": 10, "price": 97_000,
        "trigger_price": 0, "validity": "DAY", "order_timestamp": "", "status": OPEN, "opening": 10,
    }  # fmt: skip
    return Order(**(fields | given))


@given(trades)
def test_profit_is_what_came_in_less_what_went_out_and_what_the_open_units_cost(sequence: Any) -> None:
    position, profit = Position("NSE:SBIN", "MIS"), 0
    for is_buy, quantity, price in sequence:
        profit += position.trade(is_buy, quantity, quantity * price)
        cash = position.day_sell_value - position.day_buy_value
        side = 1 if position.quantity > 0 else -1
        assert profit == cash + side * position.basis if position.quantity else profit == cash
        assert position.basis >= 0
        assert position.quantity or position.basis == 0


@given(trades)
def test_the_basis_follows_exact_averages_to_a_paisa_a_trade(sequence: Any) -> None:
    position, units, cost = Position("NSE:SBIN", "MIS"), 0, Fraction(0)
    for count, (is_buy, quantity, price) in enumerate(sequence, start=1):
        position.trade(is_buy, quantity, quantity * price)
        step = quantity if is_buy else -quantity
        closing = min(quantity, abs(units)) if units * step < 0 else 0
        cost -= cost * closing / abs(units) if closing else 0
        cost += (quantity - closing) * price
        units += step
        assert position.quantity == units
        assert abs(position.basis - cost) <= count


@pytest.mark.parametrize(("instrument", "product"), [(SBIN, "CNC"), (SBIN, "MIS"), (FUTURE, "NRML"), (CALL, "NRML")])
@given(sequence=trades)
def test_a_closed_position_leaves_its_profit_in_cash_and_holds_nothing(
    instrument: Any, product: str, sequence: Any
) -> None:
    client, flow = account(), 0
    for is_buy, quantity, price in sequence:
        client.trade(instrument, product, is_buy, quantity, price)
        flow += -quantity * price if is_buy else quantity * price
    net = client.net(instrument.key, product)
    if net:
        client.trade(instrument, product, net < 0, abs(net), 50_000)
        flow += net * 50_000
    assert client.cash == CASH + flow
    assert client.debits == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 100), st.booleans()), min_size=1, max_size=12))
def test_what_orders_hold_is_the_sum_of_what_each_holds_and_all_comes_back(wanted: Any) -> None:
    client = account(units=100)
    for number, (is_buy, quantity, delivery) in enumerate(wanted):
        product, side = "CNC" if delivery else "MIS", "BUY" if is_buy else "SELL"
        opening = client.opening_quantity(SBIN.key, product, is_buy, quantity)
        client.reserve(
            order(order_id=str(number), quantity=quantity, product=product, transaction_type=side, opening=opening),
            SBIN,
            97_000,
        )
        assert client.debits == sum(client.reserved_for(str(n)) for n in range(number + 1))
    on_sale = sum(quantity for is_buy, quantity, delivery in wanted if delivery and not is_buy)
    assert client.sellable(SBIN.key) == 100 - on_sale
    for number in range(len(wanted)):
        client.release(str(number))
    assert (client.debits, client.sellable(SBIN.key), client.reservations) == (0, 100, {})
    client.release("0")  # a second time gives nothing more
    assert client.available == CASH


def test_units_that_one_order_closes_are_not_closed_by_another() -> None:
    client = account()
    client.trade(SBIN, "MIS", True, 100, 97_000)
    assert client.opening_quantity(SBIN.key, "MIS", False, 150) == 50
    client.reserve(order(quantity=80, transaction_type="SELL", opening=0), SBIN, 97_000)
    assert client.opening_quantity(SBIN.key, "MIS", False, 50) == 30
    assert client.opening_quantity(SBIN.key, "MIS", True, 50) == 50, "what goes the same way always opens"


@pytest.mark.parametrize(
    ("held", "bought", "cost", "after"),  # quantity, T1, cost afterwards
    [
        ((0, 0, 0), 10, 9_700, (0, 10, 9_700)),  # bought today: yesterday's tomorrow
        ((10, 0, 9_000), 0, 0, (10, 0, 9_000)),
        ((10, 5, 15_000), 0, 0, (15, 0, 15_000)),  # T1 settles
        ((10, 5, 15_000), -6, 0, (9, 0, 9_000)),  # a sale takes its share of the cost
        ((10, 0, 9_000), -10, 0, (0, 0, 0)),
        ((10, 0, 9_000), -12, 0, (0, 0, 0)),  # what cannot be delivered goes to auction, not below nought
    ],
)
def test_a_holding_settles(held: Any, bought: int, cost: int, after: Any) -> None:
    quantity, t1, paid = held
    holding = Holding("NSE:SBIN", quantity, t1, paid, authorised_quantity=3)
    holding.settle(bought, cost)
    assert (holding.quantity, holding.t1_quantity, holding.cost) == after
    assert holding.authorised_quantity == 0, "an authorisation is for one day"


def test_the_night_makes_holdings_of_deliveries_and_carries_what_is_open() -> None:
    client = account(units=20)
    client.trade(SBIN, "CNC", False, 20, 97_000)
    client.trade(FUTURE, "NRML", True, 75, 2_600_000)
    client.trade(SBIN, "MIS", True, 5, 97_000)
    client.trade(SBIN, "MIS", False, 5, 97_000)
    client.roll()
    assert client.holdings == {}, "all of it was sold"
    assert {pair: p.quantity for pair, p in client.positions.items()} == {(FUTURE.key, "NRML"): 75}
    carried = client.positions[FUTURE.key, "NRML"]
    assert (carried.overnight_quantity, carried.overnight_value) == (75, 75 * 2_600_000)
    assert (carried.day_buy_quantity, carried.day_buy_value) == (0, 0)
    assert client.opening_cash == client.cash


@given(trades)
def test_what_is_saved_is_found_again(sequence: Any) -> None:
    client = account(units=10)
    for is_buy, quantity, price in sequence:
        client.trade(SBIN, "MIS", is_buy, quantity, price)
    again = Account.restore(_as_json(client.state()))
    for key, product in again.positions:
        again.refresh_margin(CATALOGUE.by_key[key], product)
    assert (again.cash, again.debits, again.positions, again.holdings) == (
        client.cash, client.debits, client.positions, client.holdings,
    )  # fmt: skip


def _as_json(state: dict[str, Any]) -> Any:
    import orjson

    return orjson.loads(orjson.dumps(state))


def test_a_cleared_account_has_nothing_and_holds_nothing() -> None:
    client = account(units=10)
    client.trade(SBIN, "MIS", False, 10, 97_000)
    client.reserve(order(), SBIN, 97_000)
    client.clear()
    assert (client.cash, client.debits, client.available, client.sellable(SBIN.key)) == (0, 0, 0, 0)
