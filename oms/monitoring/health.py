"""Is it well? /health/live says that this process answers; /health and /health/ready look at every part.

503 when something fails that orders cannot do without; `degraded` when a person should look but the
door must stay open (a broker's daily login is due: orders are kept, cancellations and reports go on).
Nothing here is secret: no names, no addresses, no error texts.
"""

import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from compliance.publisher import lag
from compliance.services.partitions import months_ready
from oms.celery import HEARTBEAT_KEY
from oms.lib import clock
from oms.lib.api.wire import json_response
from oms.lib.redis import client
from orders.reading.monitoring import broker_sessions

OK, DEGRADED, FAILING = "ok", "degraded", "failing"
#: The publisher follows the log within milliseconds; after so many seconds it hangs or is gone.
EVENT_LAG_SECONDS = 30.0

Check = dict[str, Any]


@require_safe
@never_cache
def live(_request: HttpRequest) -> HttpResponse:
    """This process answers."""
    return json_response({"status": OK})


@require_safe
@never_cache
def ready(_request: HttpRequest) -> HttpResponse:
    """Every part, each with its own status; 503 when one of them fails."""
    checks = {name: _run(check) for name, check in CHECKS.items()}
    statuses = {check["status"] for check in checks.values()}
    status = FAILING if FAILING in statuses else DEGRADED if DEGRADED in statuses else OK
    return json_response({"status": status, "checks": checks}, status=503 if status == FAILING else 200)


def _run(check: Callable[[], Check]) -> Check:
    began = time.perf_counter()
    try:
        result = check()
    except Error:
        result = {"status": FAILING, "message": "The database does not answer."}
    except redis.RedisError:
        result = {"status": FAILING, "message": "Redis does not answer."}
    return {**result, "milliseconds": round((time.perf_counter() - began) * 1000, 1)}


def _database() -> Check:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {"status": OK}


def _redis() -> Check:
    client().ping()
    return {"status": OK}


def _workers() -> Check:
    """Every queue has a worker whose event loop turns."""
    keys = list(client().scan_iter(HEARTBEAT_KEY.format(hostname="*"), count=1000))
    values = client().mget(keys) if keys else []
    read = {queue for value in values if value for queue in str(value).split(",")}
    unread = sorted(set(settings.QUEUES) - read)
    result: Check = {"status": FAILING if unread else OK, "workers": len(keys)}
    if unread:
        result["message"] = f"No worker reads the queues: {', '.join(unread)}."
    return result


def _broker_sessions() -> Check:
    """Broker accounts that orders are routed through: logged in, and polled."""
    sessions = broker_sessions(at=clock.now())
    result: Check = {"status": OK, "routed": sessions.routed, "open": sessions.open, "blind": sessions.blind}
    if sessions.open < sessions.routed:
        result["status"] = DEGRADED
        result["message"] = "Orders of some accounts wait until somebody logs in at the broker."
    if sessions.blind:
        result["status"] = DEGRADED
        result["message"] = "No poll of an open session succeeded lately: the broker, beat or the workers hang."
    return result


def _events() -> Check:
    """The publisher keeps up with the event log."""
    seconds, count = lag(client(), clock.now())
    is_behind = seconds > EVENT_LAG_SECONDS
    result: Check = {"status": FAILING if is_behind else OK, "lagSeconds": round(seconds, 3), "unpublished": count}
    if is_behind:
        result["message"] = "Events are committed and not published: the publisher hangs or does not run."
    return result


def _partitions() -> Check:
    """The event log has its next months; without the present one every order would be refused."""
    ahead = months_ready(clock.now())
    result: Check = {"status": OK if ahead > 1 else DEGRADED, "months": ahead}
    if ahead <= 1:
        result["message"] = "The event log has no partition for next month: run the task ensure_partitions."
    return result


CHECKS: dict[str, Callable[[], Check]] = {
    "database": _database,
    "redis": _redis,
    "workers": _workers,
    "brokerSessions": _broker_sessions,
    "events": _events,
    "partitions": _partitions,
}
