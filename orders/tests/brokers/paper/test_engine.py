"""The engine step by step: priority over modifications, races of fills, ghosts, reservations."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from orders.brokers.paper.errors import InputError, MarginError
from orders.tests.brokers.paper.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path)
    engine.price("NSE:SBIN", 97000)
    yield engine
    engine.close()


def test_a_fill_that_overtakes_a_cancellation_wins(engine: Engine) -> None:
    order = engine.place(price=960)
    engine.run()
    engine.cancel(order)
    engine.price("NSE:SBIN", 96000)
    engine.run()
    assert engine.order(order).status == "COMPLETE"


def test_a_fill_that_overtakes_a_modification_wins(engine: Engine) -> None:
    order = engine.place(price=960)
    engine.run()
    engine.modify(order, quantity=5)
    engine.price("NSE:SBIN", 96000, per_tick=7)
    engine.run()
    found = engine.order(order)
    assert (found.status, found.quantity, found.filled_quantity) == ("OPEN", 10, 7)
    assert found.status_message == "The quantity was filled before it was modified."


@pytest.mark.parametrize(
    ("change", "first"), [({"price": 961}, 0), ({"quantity": 20}, 1), ({"quantity": 8}, 0), ({"price": 959}, 1)]
)
def test_a_better_price_or_less_quantity_is_served_first(engine: Engine, change: dict[str, int], first: int) -> None:
    orders = [engine.place(price=960), engine.place(price=960)]
    engine.run()
    engine.modify(orders[0], **change)
    engine.run()
    engine.price("NSE:SBIN", 95500, per_tick=6)
    assert [engine.order(order).filled_quantity for order in orders] == ([6, 0] if first == 0 else [0, 6])


def test_orders_share_a_tick_also_when_they_arrive_after_it(engine: Engine) -> None:
    engine.price("NSE:SBIN", 97000, per_tick=15)
    orders = [engine.place(price=970) for _ in range(3)]
    engine.run()
    assert [engine.order(order).filled_quantity for order in orders] == [10, 5, 0]
    engine.services.tick()
    assert [engine.order(order).filled_quantity for order in orders] == [10, 10, 10]


def test_money_is_reserved_until_the_end_of_an_order(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    order = engine.place(price=960, quantity=100)
    assert account.available == account.cash - 9_600_000
    engine.run()
    engine.price("NSE:SBIN", 96000, per_tick=40)
    assert account.reserved_for(order) == 5_760_000
    engine.cancel(order)
    engine.run()
    assert account.available == account.cash


def test_closing_orders_need_no_margin_but_only_once(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    engine.place(price=970, quantity=100, product="MIS")
    engine.run()
    first = engine.place(price=990, quantity=100, product="MIS", transaction_type="SELL")
    second = engine.place(price=990, quantity=100, product="MIS", transaction_type="SELL")
    engine.run()
    assert account.reserved_for(first) == 0
    assert account.reserved_for(second) == 99_000 * 100 // 5


def test_two_sales_of_the_same_units_are_not_both_taken(engine: Engine) -> None:
    orders = [engine.place(price=980, quantity=600, transaction_type="SELL") for _ in range(2)]
    engine.run()
    assert [engine.order(order).status for order in orders] == ["OPEN", "REJECTED"]


def test_a_modification_that_needs_more_money_than_there_is_is_refused(engine: Engine) -> None:
    order = engine.place(price=960, quantity=1000)
    engine.run()
    with pytest.raises(MarginError):
        engine.modify(order, quantity=20_000)
    engine.modify(order, quantity=10_000)
    engine.run()
    assert engine.services.accounts["PX0001"].reserved_for(order) == 960_000_000


def test_realised_profit_goes_to_cash_when_an_intraday_position_closes(engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    engine.place(price=970, quantity=100, product="MIS", transaction_type="SELL")
    engine.run()
    assert account.margins["NSE:SBIN", "MIS"].total == 9_700_000 // 5
    engine.price("NSE:SBIN", 96000)
    engine.place(price=960, quantity=100, product="MIS")
    engine.run()
    charged = sum(order.charged for order in engine.services.book.orders.values())
    assert account.cash == account.opening_cash + 100 * 1000 - charged
    assert account.debits == 0


def test_an_order_reported_cancelled_may_be_filled_later(engine: Engine) -> None:
    engine.services.faults.add({"kind": "cancelled_then_filled", "seconds": 1, "calls": 1})
    order = engine.place(price=960)
    engine.run()
    engine.cancel(order)
    engine.step()
    assert (engine.order(order).status, engine.order(order).filled_quantity) == ("CANCELLED", 0)
    engine.run()
    found = engine.order(order)
    assert (found.status, found.filled_quantity, found.fill_value) == ("COMPLETE", 10, 960_000)


def test_the_exchange_may_cancel_by_itself_and_fill_later(engine: Engine) -> None:
    engine.services.faults.add({"kind": "cancelled_then_filled", "route": "place"})
    order = engine.place(price=970)
    engine.run()
    history = [row.split(b'"status":"')[1].split(b'"')[0] for row in engine.services.store.history(order)]
    assert history[-2:] == [b"CANCELLED", b"COMPLETE"]


def test_a_modification_to_ioc_is_tried_and_then_cancelled(engine: Engine) -> None:
    order = engine.place(price=960)
    engine.run()
    engine.modify(order, validity="IOC")
    engine.run()
    assert engine.order(order).status == "CANCELLED"


def test_a_sale_that_fills_after_its_units_were_sold_again_goes_to_auction(engine: Engine) -> None:
    engine.services.faults.add({"kind": "cancelled_then_filled", "seconds": 1, "calls": 1})
    ghost = engine.place(transaction_type="SELL", quantity=1000, price=990)
    engine.run()
    engine.cancel(ghost)
    engine.step()
    engine.place(transaction_type="SELL", quantity=1000, price=970)
    engine.postpone()
    engine.run()
    account = engine.services.accounts["PX0001"]
    assert account.net("NSE:SBIN", "CNC") == -2000
    account.roll()
    assert "NSE:SBIN" not in account.holdings


def test_an_iceberg_that_is_cancelled_shows_no_more_legs(engine: Engine) -> None:
    engine.place("iceberg", price=960, quantity=100, iceberg_legs=4)
    engine.run()
    [leg] = engine.services.book.orders.values()
    engine.services.exchange.cancel(engine.session, "iceberg", leg.order_id)
    engine.run()
    assert len(engine.services.book.orders) == 1


def test_a_refused_order_is_nowhere(engine: Engine) -> None:
    with pytest.raises(InputError):
        engine.place(price=970.01)
    assert engine.services.store.find_orders(None) == []


def test_a_book_of_ten_thousand_orders_is_rendered(engine: Engine) -> None:
    order = engine.order(engine.place(price=960))
    many = [replace(order, order_id=str(int(order.order_id) + n)) for n in range(1, 10_000)]
    engine.services.book.load(many)
    assert len(orjson.loads(engine.services.book.rows("PX0001"))) == 10_000


def test_a_write_that_fails_takes_the_order_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(order_id: str, row: bytes) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(engine.services.store, "add_history", full)
    with pytest.raises(OSError, match="disk full"):
        engine.place(price=960)
    assert engine.services.book.orders == {}
    assert engine.services.store.find_orders(None) == []
    assert engine.services.accounts["PX0001"].debits == 0
