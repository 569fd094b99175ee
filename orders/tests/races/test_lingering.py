"""An order that comes while a worker lingers is sent by it, without a task of its own."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D

from oms.lib.redis import client
from orders import tasks
from orders.tests.brokers.paper.process import wait_for
from orders.tests.factories import fresh, place
from orders.tests.races.conftest import in_own_connection


def test_it_hears_the_bell(paper, broker_account, monkeypatch):
    asked = []
    monkeypatch.setattr(tasks.submit_orders, "apply_async", asked.append)
    monkeypatch.setattr(tasks, "LINGER_SECONDS", 3.0)
    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(in_own_connection(lambda: tasks.submit_orders(broker_account.pk)))
        wait_for(lambda: client().exists(f"oms:present:sending:{broker_account.pk}"), bool)
        time.sleep(0.3)  # it has found nothing and listens
        order = place(price=D(950))
        wait_for(lambda: fresh(order), lambda seen: seen.state == "ACKED")
        assert asked == []
        assert worker.result() == 1
