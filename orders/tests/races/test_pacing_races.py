"""Workers that count the same second at the same time never fill it twice."""

import threading
from datetime import UTC, datetime
from decimal import Decimal as D

from django.db import connection

from orders.models import BrokerAccount, Order, Routing
from orders.services import pacing
from orders.services.submission import claim_orders
from orders.tests.factories import place_list, request_for
from orders.tests.races.conftest import in_own_connection

AT = datetime(2026, 11, 20, 5, 0, 0, 900_000, UTC)


def fill_two_queues(account, broker_account):
    """Orders of one account that wait at two broker accounts: its route was changed."""
    place_list([request_for(quantity=D(1)) for _ in range(8)], at=AT)
    second = BrokerAccount.objects.get(pk=broker_account.pk)
    second.pk, second.name, second.client_id, second.default_account = None, "Second", "PX0002", account
    second.save(force_insert=True)
    Routing.objects.filter(account=account).update(broker_account=second)
    place_list([request_for(quantity=D(1)) for _ in range(8)], at=AT)
    return second


def test_two_broker_accounts_of_one_client_share_its_second(account, broker_account, sbin, monkeypatch):
    """The first worker stops inside its claim; the other neither waits for it nor takes what may be one too many."""
    second = fill_two_queues(account, broker_account)
    inside, go, locked = threading.Event(), threading.Event(), pacing._lock_waiting

    def pause(order_ids):
        rows = locked(order_ids)
        if rows and not inside.is_set():
            inside.set()
            assert go.wait(10)
        return rows

    monkeypatch.setattr(pacing, "_lock_waiting", pause)
    first = threading.Thread(target=in_own_connection(lambda: claim_orders(broker_account.pk, limit=10, at=AT)))
    first.start()
    assert inside.wait(10)
    assert claim_orders(second.pk, limit=10, at=AT) == [], "it does not know how many have left"
    go.set()
    first.join(10)
    assert len(claim_orders(second.pk, limit=10, at=AT)) == 2
    assert Order.objects.filter(sent_at=AT).count() == 10


def test_while_it_counts_orders_are_accepted(account, broker_account, sbin):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s::integer)", [pacing.PACE_LOCK, account.pk])
        try:
            (placement,) = place_list([request_for()])
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s::integer)", [pacing.PACE_LOCK, account.pk])
    assert placement.order.state == "CREATED"
