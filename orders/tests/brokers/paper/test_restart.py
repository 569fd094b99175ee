"""SIGKILL of the exchange: what it acknowledged is there afterwards, and goes on."""

import sqlite3
import threading
from pathlib import Path

import pytest
import requests

from orders.tests.brokers.paper.official import KiteConnect, exceptions
from orders.tests.brokers.paper.process import PaperExchange, paper_exchange, wait_for


def login(exchange: PaperExchange) -> KiteConnect:
    client = KiteConnect("paper", root=exchange.root)
    client.generate_session(exchange.request_token(), "paper-secret")
    return client


def test_everything_is_there_after_a_kill(tmp_path: Path) -> None:
    with paper_exchange(tmp_path, rate_limits=False) as exchange:
        kite = login(exchange)
        exchange.control("POST", "/prices", {"NSE:SBIN": {"last_price": 960, "freeze": True, "volume_per_tick": 5}})
        form = {
            "variety": "regular",
            "exchange": "NSE",
            "tradingsymbol": "SBIN",
            "transaction_type": "BUY",
            "quantity": 5,
            "product": "CNC",
            "order_type": "LIMIT",
        }
        filled, resting = kite.place_order(**form, price=960), kite.place_order(**form, price=950, tag="rest")
        wait_for(kite.orders, lambda rows: [row["status"] for row in rows] == ["COMPLETE", "OPEN"])
        before = (
            kite.orders(),
            kite.trades(),
            kite.order_history(filled),
            kite.positions(),
            kite.margins(),
            kite.holdings(),
            kite.ltp("NSE:SBIN"),
        )
        exchange.restart()
        kite.reqsession.close()
        after = (
            kite.orders(),
            kite.trades(),
            kite.order_history(filled),
            kite.positions(),
            kite.margins(),
            kite.holdings(),
            kite.ltp("NSE:SBIN"),
        )
        assert after == before
        exchange.control("POST", "/prices", {"NSE:SBIN": {"last_price": 950, "volume_per_tick": 5}})
        wait_for(kite.orders, lambda rows: rows[1]["status"] == "COMPLETE")
        assert kite.place_order(**form, price=940) > resting
        kite.reqsession.close()


def test_steps_on_their_way_are_taken_up_again(tmp_path: Path) -> None:
    with paper_exchange(tmp_path, rate_limits=False) as exchange:
        kite = login(exchange)
        exchange.control("POST", "/prices", {"NSE:SBIN": {"last_price": 960, "freeze": True}})
        form = {
            "variety": "regular",
            "exchange": "NSE",
            "tradingsymbol": "SBIN",
            "transaction_type": "BUY",
            "quantity": 5,
            "product": "CNC",
            "order_type": "LIMIT",
            "price": 950,
        }
        first, second = kite.place_order(**form), kite.place_order(**form)
        wait_for(kite.orders, lambda rows: all(row["status"] == "OPEN" for row in rows))
        exchange.control("POST", "/settings", {"latency_seconds": 60})
        kite.cancel_order("regular", first)
        kite.modify_order("regular", second, price=951)
        kite.place_order(**form)
        assert [row["status"] for row in kite.orders()] == [
            "CANCEL PENDING",
            "MODIFY VALIDATION PENDING",
            "PUT ORDER REQ RECEIVED",
        ]
        exchange.restart()
        kite.reqsession.close()
        rows = wait_for(kite.orders, lambda rows: [row["status"] for row in rows] == ["CANCELLED", "OPEN", "OPEN"])
        assert rows[1]["price"] == 951
        assert kite.margins("equity")["utilised"]["debits"] == 5 * 951 + 5 * 950
        kite.reqsession.close()


def test_no_acknowledged_order_is_lost_by_a_kill_under_load(tmp_path: Path) -> None:
    with paper_exchange(tmp_path, rate_limits=False) as exchange:
        acknowledged: set[str] = set()
        for round_number in range(3):
            kite = login(exchange)
            acknowledged |= _place_until_killed(exchange, kite, kill_after=20 + 30 * round_number)
            exchange.start()
        held = {row["order_id"] for row in exchange.control("GET", "/orders")}
        assert acknowledged <= held
        assert len(held - acknowledged) <= 3 * 4  # what was on its way at each kill


def _place_until_killed(exchange: PaperExchange, kite: KiteConnect, kill_after: int) -> set[str]:
    acknowledged: set[str] = set()
    enough = threading.Event()

    def place() -> None:
        client = KiteConnect("paper", kite.access_token, root=exchange.root)
        while True:
            try:
                acknowledged.add(client.place_order("regular", "NSE", "INFY", "BUY", 1, "MIS", "LIMIT", price=1500))
            except (requests.RequestException, exceptions.KiteException):
                client.reqsession.close()
                return
            if len(acknowledged) >= kill_after:
                enough.set()

    threads = [threading.Thread(target=place) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(20)
    exchange.kill()
    for thread in threads:
        thread.join()
    kite.reqsession.close()
    return acknowledged


def test_a_clean_stop_says_nothing_and_frees_the_home(tmp_path: Path) -> None:
    with paper_exchange(tmp_path) as exchange:
        assert exchange.stop() == 0
        exchange.start()
        assert exchange.control("GET", "/health")["status"] == "ok"


def test_a_second_exchange_on_a_home_or_port_says_so_in_one_sentence(tmp_path: Path) -> None:
    with paper_exchange(tmp_path / "a") as exchange:
        with pytest.raises(RuntimeError, match="another paper exchange runs on"), paper_exchange(tmp_path / "a"):
            pass
        with (
            pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{exchange.port}: Address already"),
            paper_exchange(tmp_path / "b", port=exchange.port),
        ):
            pass


def test_a_failing_state_file_ends_the_exchange_rather_than_its_truth(tmp_path: Path) -> None:
    with paper_exchange(tmp_path, rate_limits=False) as exchange:
        kite = login(exchange)
        exchange.control("POST", "/settings", {"latency_seconds": 0.3})
        order = kite.place_order("regular", "NSE", "SBIN", "BUY", 1, "CNC", "LIMIT", price=900)
        with sqlite3.connect(tmp_path / "exchange.sqlite3") as other:
            other.execute("ALTER TABLE history RENAME TO gone")
        other.close()
        assert exchange.wait() == 1
        with sqlite3.connect(tmp_path / "exchange.sqlite3") as other:
            other.execute("ALTER TABLE gone RENAME TO history")
        other.close()
        exchange.start()
        wait_for(kite.orders, lambda rows: [(r["order_id"], r["status"]) for r in rows] == [(order, "OPEN")])
        kite.reqsession.close()
