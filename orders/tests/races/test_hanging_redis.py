"""A Redis that takes calls and never answers: orders lose their prices for a moment, and nothing else."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from django.db import connection, transaction

from ledger.market import prices
from orders.tests.factories import place
from orders.tests.races.conftest import in_own_connection, result_of
from orders.types import OrderType


@pytest.fixture
def asked(settings):
    """Set once somebody has asked the silent server."""
    heard = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"

        def listen():
            with ExitStack() as held:
                while True:
                    try:
                        held.enter_context(server.accept()[0])
                    except OSError:
                        return
                    heard.set()

        listener = threading.Thread(target=listen)
        listener.start()
        yield heard
        server.shutdown(socket.SHUT_RDWR)
        listener.join()


def test_it_costs_no_lock(account, sbin, asked, monkeypatch):
    monkeypatch.setattr(prices, "BRIEF_SECONDS", 3.0)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(in_own_connection(lambda: place(type=OrderType.MARKET, price=None)))
        assert asked.wait(10)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM compliance_account WHERE id = %s FOR UPDATE NOWAIT", [account.pk])
            cursor.execute("SELECT 1 FROM ledger_capitalaccount WHERE account_id = %s FOR UPDATE NOWAIT", [account.pk])
        assert not waits.done(), "it was still waiting for its price when the account was free to lock"
        assert result_of(waits).rejection_code == "NO_FRESH_PRICE"


def test_an_order_waits_only_a_moment_and_goes_on_without_a_price(account, sbin, asked):
    began = time.monotonic()
    limit = place()
    assert time.monotonic() - began < 2, "and of the hint after it"
    assert (limit.state, limit.price_at_entry) == ("CREATED", None)
    assert place(type=OrderType.MARKET, price=None).rejection_code == "NO_FRESH_PRICE"
