"""The WebSocket, by a plain client and by the official KiteTicker in a process of its own."""

import json
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from orders.tests.brokers.paper.official import KiteConnect
from orders.tests.brokers.paper.process import PaperExchange

SBIN, NIFTY, FUTURE = 779521, 256265, 10240258
FORM = {
    "variety": "regular",
    "exchange": "NSE",
    "tradingsymbol": "SBIN",
    "transaction_type": "BUY",
    "quantity": 10,
    "product": "CNC",
    "order_type": "LIMIT",
    "price": 970,
}
OFFICIAL = """
import json, sys
from kiteconnect import KiteTicker
root, token = sys.argv[1:]
ticker = KiteTicker("paper", token, root=root)
seen = {}
def done(ws, name, value):
    seen[name] = value
    if len(seen) == 1 and name == "tick":
        print("subscribed", flush=True)
    if {"tick", "order"} <= seen.keys():
        print(json.dumps(seen, default=str), flush=True)
        ws.close()
        ticker.stop()
ticker.on_connect = lambda ws, response: (ws.subscribe([779521]), ws.set_mode(ws.MODE_FULL, [779521]))
ticker.on_ticks = lambda ws, ticks: ticks[0]["mode"] == "full" and "tick" not in seen and done(ws, "tick", ticks[0])
ticker.on_order_update = lambda ws, data: data["status"] == "COMPLETE" and done(ws, "order", data)
ticker.connect()
"""


@contextmanager
def socket(exchange: PaperExchange, token: str) -> Iterator[ClientConnection]:
    with connect(f"ws://127.0.0.1:{exchange.port}/?api_key=paper&access_token={token}", proxy=None) as client:
        yield client


def packets(frame: bytes) -> list[bytes]:
    (count,), rest, found = struct.unpack(">H", frame[:2]), frame[2:], []
    for _ in range(count):
        (length,) = struct.unpack(">H", rest[:2])
        found.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    assert not rest
    return found


def next_frame(client: ClientConnection, wanted: type) -> Any:
    while True:
        message = client.recv(timeout=10)
        if isinstance(message, wanted) and len(message) > 1:
            return message


def test_a_bad_session_is_refused_at_the_handshake(exchange: PaperExchange) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(exchange, "wrong"):
        pass
    assert refused.value.response.status_code == 403


def test_orders_are_told_as_text(exchange: PaperExchange, kite: KiteConnect) -> None:
    with socket(exchange, kite.access_token) as client:
        order = kite.place_order(**FORM)
        updates = [json.loads(next_frame(client, str)) for _ in range(2)]
    assert {update["type"] for update in updates} == {"order"}
    assert [update["data"]["status"] for update in updates] == ["OPEN", "COMPLETE"]
    assert {update["data"]["order_id"] for update in updates} == {order}


@pytest.mark.parametrize(
    ("token", "mode", "length"),
    [
        (SBIN, "ltp", 8),
        (SBIN, "quote", 44),
        (SBIN, "full", 184),
        (NIFTY, "quote", 28),
        (NIFTY, "full", 32),
        (FUTURE, "full", 184),
    ],
)
def test_packets_have_the_length_of_their_mode(
    exchange: PaperExchange, kite: KiteConnect, token: int, mode: str, length: int
) -> None:
    with socket(exchange, kite.access_token) as client:
        client.send(json.dumps({"a": "mode", "v": [mode, [token]]}))
        [packet] = packets(next_frame(client, bytes))
    assert len(packet) == length
    quote = next(iter(kite.ltp(token).values()))
    assert struct.unpack(">i", packet[:4]) == (token,)
    if token != NIFTY:
        assert struct.unpack(">i", packet[4:8]) == (round(quote["last_price"] * 100),)


def test_a_quiet_socket_has_a_heartbeat_and_bad_messages_an_answer(exchange: PaperExchange, kite: KiteConnect) -> None:
    with socket(exchange, kite.access_token) as client:
        assert client.recv(timeout=10) == b"\x00"
        for message in ("no json", '{"a":"subscribe"}', '{"a":"mode","v":["all",[779521]]}', '{"a":"dance","v":[1]}'):
            client.send(message)
            assert json.loads(next_frame(client, str))["type"] == "error"


def test_the_official_ticker_gets_ticks_and_orders(exchange: PaperExchange, kite: KiteConnect) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", OFFICIAL, f"ws://127.0.0.1:{exchange.port}", kite.access_token],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "subscribed\n"
        kite.place_order(**FORM)
        seen = json.loads(process.stdout.readline())
        process.wait(10)
    assert seen["tick"]["instrument_token"] == SBIN
    assert seen["tick"]["last_price"] == 970
    assert len(seen["tick"]["depth"]["buy"]) == 5
    assert seen["order"]["filled_quantity"] == 10
