"""What the exchange has written is there again; what it gave up writing is not there at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from orders.brokers.paper.account import Account
from orders.brokers.paper.book import Book, Update
from orders.brokers.paper.orders import CANCELLED, COMPLETE, OPEN, Order
from orders.brokers.paper.store import HomeInUseError, Store

MONDAY, TUESDAY = "2026-11-23", "2026-11-24"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def order(number: int, status: str = OPEN, day: str = MONDAY, user_id: str = "PX0001", **given: Any) -> Order:
    fields: dict[str, Any] = {
        "order_id": str(10**18 + number), "user_id": user_id, "api_key": "paper", "day": day, "variety": "regular",
        "exchange": "NSE", "tradingsymbol": "SBIN", "instrument_token": 779521, "transaction_type": "BUY",
        "order_type": "LIMIT", "product": "CNC", "quantity": 10, "price": 97_000, "trigger_price": 0,
        "validity": "DAY", "order_timestamp": "2026-11-23 11:00:00", "status": status, "resting": status == OPEN,
    }  # fmt: skip
    return Order(**(fields | given))


class TestStore:
    def test_an_order_comes_back_as_it_was(self, store: Store) -> None:
        kept = order(1, tag="mine", tags=["mine"], meta={"iceberg": {"leg": 1}}, change={"price": 1}, expires_at=1.5)
        store.save_order(kept)
        assert store.load_orders(MONDAY) == [kept]
        assert store.owner(kept.order_id) == "PX0001"
        assert store.owner("1") is None

    def test_a_day_begins_with_its_own_orders_and_those_still_alive(self, store: Store) -> None:
        over, alive, ghost, own = (
            order(1, COMPLETE), order(2), order(3, CANCELLED, ghost=True), order(4, COMPLETE, TUESDAY),
        )  # fmt: skip
        for one in (own, ghost, alive, over):
            store.save_order(one)
        assert store.load_orders(TUESDAY) == [alive, ghost, own]
        assert store.find_orders(None) == [over, alive, ghost, own]

    def test_orders_are_counted_by_client_and_day(self, store: Store) -> None:
        for one in (order(1), order(2, COMPLETE), order(3, day=TUESDAY), order(4, user_id="PX0002")):
            store.save_order(one)
        assert [store.count_orders("PX0001", day) for day in (MONDAY, TUESDAY, "2026-11-25")] == [2, 1, 0]
        assert store.last_order_id() == 10**18 + 4

    def test_a_unit_is_kept_whole_or_not_at_all(self, store: Store) -> None:
        def half_done() -> None:
            with store.unit():
                store.save_order(order(1))
                store.add_history("1", b"{}")
                store.put("day", MONDAY)
                raise KeyError("in the middle")

        with pytest.raises(KeyError):
            half_done()
        assert (store.find_orders(None), store.history("1"), store.get("day")) == ([], [], None)
        with store.unit():
            store.save_order(order(1))
        assert len(store.find_orders(None)) == 1

    def test_histories_and_trades_stay_in_the_order_of_writing(self, store: Store) -> None:
        one, other = order(1), order(2, user_id="PX0002")
        for number in range(3):
            store.add_history(one.order_id, str(number).encode())
            store.add_trade(one, {"n": number}, MONDAY)
        store.add_trade(other, {"n": 9}, MONDAY)
        store.add_trade(one, {"n": 10}, TUESDAY)
        assert store.history(one.order_id) == [b"0", b"1", b"2"]
        assert [orjson.loads(row)["n"] for row in store.trades("PX0001", MONDAY)] == [0, 1, 2]
        assert [orjson.loads(row)["n"] for row in store.order_trades(one.order_id)] == [0, 1, 2, 10]

    def test_facts_are_found_by_the_beginning_of_their_name(self, store: Store) -> None:
        for name, value in (("client:A", 1), ("client:B", 2), ("clients", 3), ("client:A", 4)):
            store.put(name, value)
        assert sorted(store.facts("client:")) == [2, 4]
        store.drop("client:A")
        store.drop("never there")
        assert (store.facts("client:"), store.get("client:A")) == ([2], None)

    def test_a_wipe_forgets_orders_and_keeps_facts(self, store: Store) -> None:
        store.put("client:A", 1)
        store.save_order(order(1))
        store.add_trade(order(1), {}, MONDAY)
        store.wipe_orders()
        assert (store.find_orders(None), store.trades("PX0001", MONDAY), store.get("client:A")) == ([], [], 1)

    def test_a_home_is_held_by_one_at_a_time(self, store: Store, tmp_path: Path) -> None:
        with pytest.raises(HomeInUseError):
            Store(tmp_path)
        store.close()
        Store(tmp_path).close()


class TestBook:
    """Nothing is told to anybody before it is written."""

    @pytest.fixture
    def told(self) -> list[Update]:
        return []

    @pytest.fixture
    def book(self, store: Store, told: list[Update]) -> Book:
        return Book(store, told.append)

    def test_what_is_told_has_been_written(self, store: Store, told: list[Update]) -> None:
        written: list[int] = []
        book = Book(store, lambda _: written.append(len(store.find_orders(None))))
        with book.unit():
            book.advance(order(1), OPEN)
            book.tell(order(1), "OPEN")
            assert written == []
        assert written == [1]

    def test_a_unit_that_breaks_is_neither_written_nor_told_nor_left_for_the_next(
        self, book: Book, store: Store, told: list[Update]
    ) -> None:
        def broken() -> None:
            with book.unit():
                book.advance(order(1), OPEN)
                book.tell(order(1), "OPEN")
                book.touch(Account("PX0001", "", 1, 1))
                raise KeyError

        with pytest.raises(KeyError):
            broken()
        with book.unit():
            book.advance(order(2), OPEN)
        assert [one.order_id for one in store.find_orders(None)] == [order(2).order_id]
        assert (told, store.facts("client:"), list(book.orders)) == ([], [], [order(2).order_id])

    def test_every_step_has_a_row_of_history_and_the_book_shows_the_last(self, book: Book, store: Store) -> None:
        one = order(1)
        with book.unit():
            book.advance(one, "VALIDATION PENDING")
            book.advance(one, OPEN)
        one.resting = False
        with book.unit():
            book.advance(one, CANCELLED, "by hand", "raw")
        steps = [orjson.loads(row) for row in store.history(one.order_id)]
        assert [row["status"] for row in steps] == ["VALIDATION PENDING", OPEN, CANCELLED]
        assert steps[-1]["status_message"] == "by hand"
        [row] = orjson.loads(book.rows("PX0001"))
        assert (row["status"], row["status_message_raw"], row["cancelled_quantity"]) == (CANCELLED, "raw", 10)

    def test_only_what_rests_is_matched(self, book: Book) -> None:
        one = order(1)
        book.load([one, order(2, COMPLETE)])
        assert list(book.resting[779521]) == [one.order_id]
        assert [live.order_id for live in book.live()] == [one.order_id]
        one.resting = False
        with book.unit():
            book.advance(one, CANCELLED)
        assert (book.resting[779521], book.live()) == ({}, [])

    def test_a_client_sees_its_own_rows_oldest_first(self, book: Book) -> None:
        book.load([order(1), order(2, user_id="PX0002"), order(3, COMPLETE)])
        shown = [row["order_id"] for row in orjson.loads(book.rows("PX0001"))]
        assert shown == [order(1).order_id, order(3).order_id]
        assert book.rows("nobody") == b"[]"

    def test_a_new_day_forgets_what_is_over(self, book: Book) -> None:
        over, alive, ghost, today = (
            order(1, COMPLETE), order(2), order(3, CANCELLED, ghost=True), order(4, COMPLETE, TUESDAY),
        )  # fmt: skip
        book.load([over, alive, ghost, today])
        book.forget(TUESDAY)
        assert list(book.orders) == [one.order_id for one in (alive, ghost, today)]
        assert over.order_id not in book.rows("PX0001").decode()
