"""What the network can do to a call, and what we then know: against a server that misbehaves for real."""

import gzip
import hashlib
import json
import logging
import os
import resource
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from oms.lib.redis import client as redis_client
from orders.brokers.base import (
    ClientSettings,
    DefiniteRefusal,
    InstrumentName,
    SessionExpired,
    Temporary,
    UnknownOutcome,
)
from orders.brokers.kite.client import KiteBroker
from orders.brokers.kite.connection import Connection
from orders.brokers.limits import UNLIMITED, Limiter, permits
from orders.brokers.outage import FAILURES_IN_A_ROW, Outage
from orders.tests.brokers.scripted import answer, drop, scripted_server, stall, trickle

TOKEN, SECRET = "tok-3f9a7c", "sec-81be02"
FORM = {"tradingsymbol": "INFY"}
ACCEPTED = answer('{"status": "success", "data": {"order_id": "1953341975595868160"}}')
HTML = answer("<html><h1>502 Bad Gateway</h1></html>", status=502, content_type="text/html")


def endless_length(sock, _over):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}")


def connection(root, **options):
    return Connection(root, api_key="key", access_token=TOKEN, **options)


def place(root, **options):
    return connection(root, **options).write("POST", "/orders/regular", form=FORM)


def test_a_write_goes_out_as_kite_wants_it():
    with scripted_server(ACCEPTED) as server:
        assert place(server.root, route_prefix="/oms/") == {"order_id": "1953341975595868160"}
    ((method, target, headers, body),) = server.requests
    assert (method, target, body) == ("POST", "/oms/orders/regular", "tradingsymbol=INFY")
    assert headers["x-kite-version"] == "3"
    assert headers["authorization"] == f"token key:{TOKEN}"
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_the_instrument_dump_has_no_prefix():
    with scripted_server(answer("a,b\n", content_type="text/csv")) as server:
        connection(server.root, route_prefix="/oms").read_text("/instruments")
    assert server.calls == ["GET /instruments"]


@pytest.mark.parametrize(
    "step",
    [
        drop,
        stall,
        trickle,
        HTML,
        answer("<html>fine</html>", content_type="text/html"),
        answer("", status=200),
        answer('{"status": "success", "data": {"order_id": "19533'),
        answer('{"status": "success"}'),
        answer('{"status": "success", "data": NaN}'),
        answer('{"status": "error", "error_type": "GeneralException", "message": "?"}', status=500),
        answer("[" * 100_000),
        answer('{"data": 1e99999999999999999999}'),
        answer(gzip.compress(b'{"data": {"order_id": "1"}}')[:10] + b"\xff" * 40, Content_Encoding="gzip"),
        endless_length,
    ],
    ids=[
        "dropped",
        "silent",
        "trickling",
        "html",
        "html 200",
        "empty",
        "cut short",
        "no data",
        "not a number",
        "500",
        "brackets without end",
        "a number out of bounds",
        "broken gzip",
        "a length beyond memory",
    ],
)
def test_a_write_that_was_not_answered_properly_has_an_unknown_outcome_and_is_never_repeated(step):
    with scripted_server(step) as server, pytest.raises(UnknownOutcome) as caught:
        place(server.root, call_seconds=0.4)
    assert len(server.requests) == 1
    assert TOKEN not in f"{caught.value!r} {caught.value.raw}"


def test_with_a_thousand_files_open_a_kept_connection_is_still_told_from_a_dead_one():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limit[1]), limit[1]))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        server = stack.enter_context(scripted_server(ACCEPTED))
        for _ in range(1100):
            stack.enter_context(Path(os.devnull).open())
        link = connection(server.root)
        for _ in range(2):
            assert link.write("POST", "/orders/regular", form=FORM) == {"order_id": "1953341975595868160"}
        assert server.connections == 1


def test_a_fault_of_the_network_layer_before_anything_left_refuses_no_order(monkeypatch):
    def fail(*_given):
        raise ValueError("filedescriptor out of range in select()")

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(Temporary):
        place("http://127.0.0.1:1")


def test_a_write_that_never_left_may_be_made_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Temporary):
        place(f"http://127.0.0.1:{port}")


def test_an_egress_address_that_this_machine_does_not_have_is_not_an_unknown_outcome():
    with scripted_server(ACCEPTED) as server, pytest.raises(Temporary):
        place(server.root, egress_address="192.0.2.1")
    assert not server.requests


def test_calls_leave_from_the_registered_address():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        link = connection(f"http://127.0.0.1:{listener.getsockname()[1]}", egress_address="127.0.0.9", call_seconds=0.2)
        with pytest.raises(UnknownOutcome):
            link.write("POST", "/orders/regular", form=FORM)
        peer, (address, _) = listener.accept()
        peer.close()
    assert address == "127.0.0.9"


@pytest.mark.parametrize("root", ["ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://a..b"])
def test_an_address_that_is_none_is_our_own_mistake(root):
    with pytest.raises(DefiniteRefusal, match="not set up rightly"):
        place(root)


def test_without_a_token_nothing_is_sent():
    with scripted_server(ACCEPTED) as server, pytest.raises(SessionExpired):
        Connection(server.root, api_key="key", access_token="").write("POST", "/orders/regular", form=FORM)
    assert not server.requests


def test_a_redirect_is_not_followed_as_a_get():
    with scripted_server(answer("", status=302, Location="/elsewhere")) as server, pytest.raises(UnknownOutcome):
        place(server.root)
    assert server.calls == ["POST /orders/regular"]


def test_a_read_is_repeated_after_a_dropped_connection():
    with scripted_server(drop, answer('{"data": []}')) as server:
        assert connection(server.root).read("/orders") == []
    assert server.calls == ["GET /orders"] * 2


def test_a_read_is_not_repeated_for_ever():
    with scripted_server(drop) as server, pytest.raises(UnknownOutcome):
        connection(server.root).read("/orders")
    assert len(server.requests) == 3


@pytest.mark.parametrize("step", [HTML, trickle, stall])
def test_a_read_that_was_answered_badly_is_left_to_the_next_poll(step):
    with scripted_server(step) as server, pytest.raises(UnknownOutcome):
        connection(server.root, call_seconds=0.4).read("/orders")
    assert len(server.requests) == 1


def test_one_connection_serves_many_calls():
    with scripted_server(answer('{"data": []}')) as server:
        link = connection(server.root)
        for _ in range(3):
            link.read("/orders")
    assert len(server.requests) == 3
    assert server.connections == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_not_written_to():
    """Nobody would know whether the write arrived."""

    def answer_and_leave(sock, over):
        answer('{"data": {"order_id": "1"}}')(sock, over)
        sock.shutdown(socket.SHUT_RDWR)

    with scripted_server(answer_and_leave) as server:
        link = connection(server.root)
        for _ in range(3):
            assert link.write("POST", "/orders/regular", form=FORM) == {"order_id": "1"}
            time.sleep(0.05)
    assert server.connections == 3


def test_compressed_answers_are_read_and_broken_ones_are_no_answer():
    packed = gzip.compress(b'{"data": [1.10]}')
    with scripted_server(answer(packed, Content_Encoding="gzip"), answer(b"x", Content_Encoding="gzip")) as server:
        assert connection(server.root).read("/orders") == [Decimal("1.10")]
        assert server.requests[0][2]["accept-encoding"] == "gzip"
        with pytest.raises(UnknownOutcome):
            connection(server.root).write("POST", "/orders/regular", form=FORM)


def test_an_answer_in_pieces_is_read_whole():
    def in_chunks(sock, _over):
        sock.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"data": ')
        sock.sendall(b"\r\n3\r\n[1]\r\n1\r\n}\r\n0\r\n\r\n")

    with scripted_server(in_chunks) as server:
        link = connection(server.root)
        assert [link.read("/orders"), link.read("/orders")] == [[1], [1]]
        assert server.connections == 1


def test_a_line_break_in_a_credential_sends_nothing():
    with scripted_server(ACCEPTED) as server, pytest.raises(DefiniteRefusal, match="not set up rightly"):
        Connection(server.root, api_key="key", access_token="a\r\nX: y").write("POST", "/orders/regular", form=FORM)
    assert not server.requests


def test_fractions_keep_every_digit():
    with scripted_server(
        answer('{"data": {"net": 96426.32999999999, "big": 1953341975595868160, "cash": -0}}')
    ) as server:
        data = connection(server.root).read("/user/margins/equity")
    assert data == {"net": Decimal("96426.32999999999"), "big": 1953341975595868160, "cash": 0}
    assert isinstance(data["net"], Decimal)


@dataclass(frozen=True)
class Figures:
    """A broker account without limits."""

    pk: int = 1
    orders_per_second: int = 0
    orders_per_minute: int = 0
    orders_per_day: int = 0
    other_calls_per_second: int = 0


def broker(root, **options):
    limiter = Limiter(Figures())
    settings = ClientSettings(root_url=root, api_key="key", api_secret=SECRET, access_token=TOKEN, **options)
    return KiteBroker(settings, limiter, Outage(limiter, "outage:1"))


def test_while_a_broker_answers_nothing_sensible_orders_wait_and_the_first_good_answer_ends_it():
    refused = answer('{"status": "error", "error_type": "InputException", "message": "No such order"}', status=400)
    with scripted_server(*[HTML] * FAILURES_IN_A_ROW, refused) as server:
        client = broker(server.root)
        for _ in range(FAILURES_IN_A_ROW):
            assert permits(Figures()) == UNLIMITED
            with pytest.raises(UnknownOutcome):
                client.order_book()
        assert permits(Figures()) == 0
        with pytest.raises(DefiniteRefusal):
            client.cancel("1", variety="regular")
    assert len(server.requests) == FAILURES_IN_A_ROW + 1
    assert redis_client().get("outage:1") is None


def test_after_a_429_the_next_call_of_its_kind_waits():
    with scripted_server(answer("", status=429, Retry_After="30")) as server:
        client = broker(server.root)
        for _ in range(2):
            with pytest.raises(Temporary) as caught:
                client.cancel("1", variety="regular")
            assert caught.value.retry_after > 29
    assert len(server.requests) == 1


def test_a_sliced_order_that_was_refused_entirely_is_refused():
    error = {"code": 400, "error_type": "MarginException", "message": "Insufficient funds."}
    body = json.dumps({"status": "success", "data": [{"error": error}, {"error": error}]})
    with scripted_server(answer(body)) as server, pytest.raises(DefiniteRefusal, match="Insufficient"):
        broker(server.root).cancel("1", variety="regular")


def test_a_refusal_of_slices_with_a_code_of_the_brokers_own_is_a_refusal_all_the_same():
    error = {"code": "E1", "error_type": "MarginException", "message": "Insufficient funds."}
    body = json.dumps({"status": "success", "data": {"children": [{"error": error}]}})
    with scripted_server(answer(body)) as server, pytest.raises(DefiniteRefusal, match="Insufficient"):
        broker(server.root).cancel("1", variety="regular")


@pytest.mark.parametrize("data", [{}, None, "?", 7, [], [7], {"children": None}, {"children": 7}])
def test_an_answer_without_an_order_id_is_unknown(data):
    body = json.dumps({"status": "success", "data": data})
    with scripted_server(answer(body)) as server, pytest.raises(UnknownOutcome):
        broker(server.root).cancel("1", variety="regular")


@pytest.mark.parametrize("data", [7, "?", {"order_id": "1"}, [7], [{"order_id": [1]}]])
@pytest.mark.parametrize(
    "read",
    [KiteBroker.order_book, KiteBroker.trade_book, lambda k: k.order("1"), lambda k: k.order_trades("1")],
    ids=["orders", "trades", "order", "trades of an order"],
)
def test_a_book_of_another_shape_is_a_failed_read(read, data):
    with scripted_server(answer(json.dumps({"data": data}))) as server, pytest.raises(UnknownOutcome):
        read(broker(server.root))


@pytest.mark.parametrize("data", [7, "?", [7], {"a": 7}])
@pytest.mark.parametrize(
    "read",
    [KiteBroker.funds, KiteBroker.positions, KiteBroker.holdings, lambda k: k.quotes([InstrumentName("NSE", "INFY")])],
    ids=["funds", "positions", "holdings", "quotes"],
)
def test_figures_of_another_shape_are_a_failed_read(read, data):
    with scripted_server(answer(json.dumps({"data": data}))) as server, pytest.raises(UnknownOutcome):
        read(broker(server.root))


def test_a_wait_without_end_that_a_server_asks_for_is_shortened():
    """Believed, it would stop every order of the account, and nobody would know until when."""
    with scripted_server(answer("", status=429, Retry_After="9" * 400)) as server, pytest.raises(Temporary):
        broker(server.root).cancel("1", variety="regular")
    (key,) = redis_client().keys("limits:1:*:blocked")
    assert 59_000 < redis_client().pttl(key) <= 60_000


def test_secrets_stay_out_of_reprs_logs_and_errors(caplog):
    settings = ClientSettings(root_url="http://127.0.0.1:1", api_key="key", api_secret=SECRET, access_token=TOKEN)
    echo = {"status": "error", "error_type": "GeneralException", "message": "?", "request": {"access_token": TOKEN}}
    with (
        caplog.at_level(logging.DEBUG, logger="orders"),
        scripted_server(
            answer(json.dumps({"data": {"user_id": "AB1", "access_token": "new-token", "enctoken": "e"}})),
            answer(json.dumps(echo), status=400),
        ) as server,
    ):
        client = broker(server.root)
        session = client.open_session("request-token")
        with pytest.raises(UnknownOutcome) as caught:
            client.cancel("1", variety="regular")
    told = f"{settings!r} {session!r} {session.raw} {caught.value!r} {caught.value.raw} {caplog.text}"
    for secret in (TOKEN, SECRET, "new-token", "enctoken"):
        assert secret not in told
    assert session.access_token == "new-token"


def test_a_login_sends_the_checksum_and_not_the_secret():
    with scripted_server(answer('{"data": {"user_id": "AB1", "access_token": "t"}}')) as server:
        broker(server.root).open_session("request-token")
    ((method, target, headers, body),) = server.requests
    assert (method, target) == ("POST", "/session/token")
    assert "authorization" not in headers
    assert SECRET not in body
    assert f"checksum={hashlib.sha256(b'keyrequest-tokensec-81be02').hexdigest()}" in body


def test_a_login_answer_without_a_token_is_an_error():
    with scripted_server(answer('{"data": {"user_id": "AB1"}}')) as server, pytest.raises(UnknownOutcome):
        broker(server.root).open_session("request-token")


def test_login_pages():
    assert broker("http://127.0.0.1:1").login_url(state="a:b/c") == (
        "https://kite.zerodha.com/connect/login?v=3&api_key=key&redirect_params=state%3Da%253Ab%252Fc"
    )


def test_a_forked_process_does_not_share_the_sockets(monkeypatch):
    from types import SimpleNamespace

    from orders.brokers import registry

    account = SimpleNamespace(
        pk=987654, kind="KITE", client_id="AB1234", instruments_at=None, root_url="http://127.0.0.1:1", route_prefix="", login_page_url="", egress_address=None,
        api_key="key", api_secret=SECRET, access_token=TOKEN, orders_per_second=10, orders_per_minute=400,
        orders_per_day=5000, other_calls_per_second=10,
    )  # fmt: skip
    monkeypatch.setattr(registry, "names_at", lambda *_, **__: [])  # a child must not use our database connection
    here = registry.broker_for(account)
    assert registry.broker_for(account) is here
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"same" if registry.broker_for(account) is here else b"own")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 10) == b"own"
    account.access_token = "another"
    assert registry.broker_for(account) is not here
