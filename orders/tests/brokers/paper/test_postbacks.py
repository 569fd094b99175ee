"""Postbacks as a receiver gets them: payload, checksum, retries and the faults of delivery."""

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from orders.tests.brokers.paper.official import KiteConnect
from orders.tests.brokers.paper.process import PaperExchange, wait_for

FORM = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "SBIN",
    "transaction_type": "BUY",
    "quantity": 10,
    "product": "CNC",
    "order_type": "LIMIT",
}


class Receiver(ThreadingHTTPServer):
    """Keeps every notice; answers 500 for as many as `failures` says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.notices: list[dict[str, Any]] = []
        self.content_types: set[str] = set()
        self.failures = 0

    def of(self, order_id: str) -> list[str]:
        return [notice["status"] for notice in self.notices if notice["order_id"] == order_id]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        failing = self.server.failures > 0
        self.server.failures -= failing
        if not failing:
            self.server.notices.append(json.loads(body))
            self.server.content_types.add(self.headers["Content-Type"])
        self.send_response(500 if failing else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver(exchange: PaperExchange) -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    exchange.control("POST", "/apps", {"api_key": "paper", "postback_url": f"http://127.0.0.1:{server.server_port}/p"})
    yield server
    exchange.control("POST", "/apps", {"api_key": "paper", "postback_url": ""})
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_end_and_change_is_told_with_a_checksum(
    exchange: PaperExchange, kite: KiteConnect, receiver: Receiver
) -> None:
    exchange.control("POST", "/prices", {"NSE:SBIN": {"volume_per_tick": 6}})
    filled = kite.place_order(**FORM, price=970, tag="told")
    wait_for(lambda: receiver.of(filled), lambda seen: seen == ["UPDATE", "COMPLETE"])
    resting = kite.place_order(**FORM, price=960)
    wait_for(kite.orders, lambda rows: rows[1]["status"] == "OPEN")
    kite.modify_order("regular", resting, price=961)
    wait_for(kite.orders, lambda rows: rows[1]["price"] == 961 and rows[1]["status"] == "OPEN")
    kite.cancel_order("regular", resting)
    wait_for(lambda: receiver.of(resting), lambda seen: seen == ["UPDATE", "CANCELLED"])
    rejected = kite.place_order(**FORM, price=1500)
    wait_for(lambda: receiver.of(rejected), lambda seen: seen == ["REJECTED"])
    for notice in receiver.notices:
        signed = notice["order_id"] + notice["order_timestamp"] + "paper-secret"
        assert notice["checksum"] == sha256(signed.encode()).hexdigest()
        assert notice["unfilled_quantity"] == notice["quantity"] - notice["filled_quantity"]
        assert notice["user_id"] == "PX0001"
        assert isinstance(notice["app_id"], int)
        assert not {"modified", "tags"} & notice.keys()
    assert [notice["filled_quantity"] for notice in receiver.notices[:2]] == [6, 10]
    assert receiver.content_types == {"application/json"}


def test_a_notice_that_fails_is_sent_again(exchange: PaperExchange, kite: KiteConnect, receiver: Receiver) -> None:
    receiver.failures = 1
    order = kite.place_order(**FORM, price=970)
    wait_for(lambda: receiver.of(order), lambda seen: seen == ["COMPLETE"])
    log = wait_for(lambda: exchange.control("GET", "/postbacks"), lambda log: log and log[-1]["order_id"] == order)
    assert (log[-1]["outcome"], log[-1]["attempts"]) == ("200", 2)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("postback_duplicate", ["first", "first", "second"]),
        ("postback_reorder", ["second", "first"]),
        ("postback_late", ["second", "first"]),
        ("postback_off", ["second"]),
    ],
)
def test_delivery_can_go_wrong(
    exchange: PaperExchange, kite: KiteConnect, receiver: Receiver, kind: str, expected: list[str]
) -> None:
    exchange.control("POST", "/faults", {"kind": kind, "calls": 1, "seconds": 2})
    for tag in ("first", "second"):
        order = kite.place_order(**FORM, price=970, tag=tag)
        wait_for(
            kite.orders,
            lambda rows, order=order: any(row["order_id"] == order and row["status"] == "COMPLETE" for row in rows),
        )
    tags = wait_for(lambda: [notice["tag"] for notice in receiver.notices], lambda seen: len(seen) == len(expected))
    assert sorted(tags) == sorted(expected)
    if kind in ("postback_reorder", "postback_late"):
        assert tags == expected
