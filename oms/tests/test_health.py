"""Health and metrics as the engineer on call and Prometheus see them."""

import re
from datetime import timedelta
from typing import Any

import pytest
import redis
import time_machine
from django.db import DatabaseError, connection
from django.test import Client

from oms.celery import HEARTBEAT_KEY
from oms.lib import clock
from oms.lib.redis import client as redis_client
from oms.monitoring import health
from oms.tests.api_cast import ORDERS, Cast, as_trader, cast, client_of, placed

__all__ = ["as_trader", "cast", "placed"]


@pytest.fixture
def workers(settings: Any) -> None:
    redis_client().set(HEARTBEAT_KEY.format(hostname="one@host"), "orders,market")
    redis_client().set(HEARTBEAT_KEY.format(hostname="two@host"), "compliance,default")


def test_live_asks_nobody(client: Client) -> None:
    """Without database access in this test, a query would raise."""
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_all_is_well(cast: Cast, client: Client, workers: None, path: str) -> None:
    answer = client.get(path)
    report = answer.json()
    assert (answer.status_code, report["status"]) == (200, "ok"), report
    assert report["checks"].keys() == {
        "database", "redis", "workers", "brokerSessions", "events", "partitions",
    }  # fmt: skip
    assert report["checks"]["workers"]["workers"] == 2


def test_a_queue_that_nobody_reads_is_named(cast: Cast, client: Client, workers: None) -> None:
    redis_client().delete(HEARTBEAT_KEY.format(hostname="one@host"))
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")
    assert "market, orders" in answer.json()["checks"]["workers"]["message"]


def test_a_broker_session_that_is_not_open_degrades_but_keeps_the_door_open(
    cast: Cast, client: Client, workers: None
) -> None:
    cast.broker_account.session_state = "EXPIRED"
    cast.broker_account.save()
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["brokerSessions"] | {"milliseconds": 0} == {
        "status": "degraded", "routed": 1, "open": 0, "blind": 0, "milliseconds": 0,
        "message": "Orders of some accounts wait until somebody logs in at the broker.",
    }  # fmt: skip


def test_events_that_nobody_publishes_are_noticed(
    cast: Cast, client: Client, workers: None, placed: dict[str, Any]
) -> None:
    assert client.get("/health/ready").json()["checks"]["events"]["unpublished"] > 0
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["checks"]["events"]["status"]) == (503, "failing")


def test_a_missing_part_is_told_without_its_secrets(
    cast: Cast, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise redis.ConnectionError("Error connecting to 10.1.2.3 with password hunter2")

    def broken() -> Any:
        raise DatabaseError("FATAL: password authentication failed for user oms")

    monkeypatch.setattr(health, "client", away)
    monkeypatch.setitem(health.CHECKS, "database", broken)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert {name: check["status"] for name, check in answer.json()["checks"].items()} == {
        "database": "failing", "redis": "failing", "workers": "failing", "brokerSessions": "ok", "events": "failing",
        "partitions": "ok",
    }  # fmt: skip
    assert "password" not in answer.content.decode()


def _sample(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


def test_metrics_tell_of_orders_events_and_latency(cast: Cast, client: Client, placed: dict[str, Any]) -> None:
    client_of(cast.trader).get(ORDERS)
    text = client.get("/metrics").content.decode()
    assert _sample(text, 'oms_live_orders{state="CREATED"}') == 1
    assert _sample(text, 'oms_orders_today{state="CREATED"}') == 1
    assert _sample(text, "oms_events_unpublished") > 0
    assert _sample(text, "oms_broker_sessions_open") == 1
    assert _sample(text, 'oms_limiter_waiting{kind="ORDER"}') == 0
    count = 'oms_http_request_duration_seconds_count{method="GET",route="api/v1/orders",status="200"}'
    assert _sample(text, count) >= 1


def test_metrics_are_reckoned_once_for_many_scrapes(cast: Cast, client: Client) -> None:
    client.get("/metrics")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "cursor", lambda *_: pytest.fail("the database was asked again"))
        assert client.get("/metrics").status_code == 200


def test_metrics_outside_the_demo_want_the_token(db: None, client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "scrape-me"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer wrong").status_code == 401
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape-me").status_code == 200
    settings.METRICS_TOKEN, settings.DEMO = "", False
    assert client.get("/metrics").status_code == 401


def test_a_broker_that_nobody_polls_is_noticed(cast: Cast, client: Client, workers: None) -> None:
    """A dead beat leaves workers that answer and nothing that asks them."""
    cast.broker_account.polled_at = clock.now() - timedelta(minutes=1)
    cast.broker_account.save()
    sessions = client.get("/health/ready").json()["checks"]["brokerSessions"]
    assert (sessions["status"], sessions["blind"]) == ("degraded", 1)


def test_a_month_that_nobody_made_is_noticed(cast: Cast, client: Client, workers: None) -> None:
    with time_machine.travel(clock.now() + timedelta(days=400)):
        partitions = client.get("/health/ready").json()["checks"]["partitions"]
    assert (partitions["status"], partitions["months"]) == ("degraded", 0)
