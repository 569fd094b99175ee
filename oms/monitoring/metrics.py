"""What Prometheus scrapes at /metrics: how requests fare, and how orders, events and the limiter stand.

Latencies are counted by every web process in files of PROMETHEUS_MULTIPROC_DIR and added up at the
scrape (one process keeps them in memory when it is not set). What stands in the database and in
Redis is read at the scrape, at most every few seconds however many scrape.
"""

import hmac
import os
import time
from collections.abc import Callable, Iterator

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from oms.lib.api.problems import problem
from oms.monitoring import gauges

FRESH_SECONDS = 5
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

latency = Histogram(
    "oms_http_request_duration_seconds",
    "Time from the first middleware to the complete answer.",
    ("method", "route", "status"),
    buckets=BUCKETS,
)


class MeasureRequests:
    """Middleware: the outermost one, so that it sees what the caller waits for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self._get_response(request)
        match = request.resolver_match
        route = match.route if match else "(unknown)"
        latency.labels(request.method, route, response.status_code).observe(time.perf_counter() - began)
        return response


class Gauges:
    """A collector of gauges that all processes share."""

    def collect(self) -> Iterator[Metric]:
        try:
            families = cache.get_or_set("metrics:gauges", gauges.gauges, FRESH_SECONDS)
        except (DatabaseError, redis.RedisError):
            return  # the latencies are still worth a scrape, and /health says what is away
        for name, (help_text, label, values) in (families or {}).items():
            family = GaugeMetricFamily(name, help_text, labels=[label] if label else [])
            for value_of_label, value in values.items():
                family.add_metric([value_of_label] if label else [], value)
            yield family


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format. Outside the demo a scraper shows OMS_METRICS_TOKEN as its bearer token."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    is_known = bool(settings.METRICS_TOKEN) and hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    if not is_known and not (settings.DEMO and not settings.METRICS_TOKEN):
        return problem(
            401, code="metrics_token", detail="Send OMS_METRICS_TOKEN as the bearer token.", instance=request.path,
            headers={"WWW-Authenticate": 'Bearer realm="metrics"'},
        )  # fmt: skip
    return HttpResponse(_text(), content_type=CONTENT_TYPE_LATEST)


def _text() -> bytes:
    shared = CollectorRegistry()
    shared.register(Gauges())
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(shared)
        return generate_latest(shared)
    return generate_latest(REGISTRY) + generate_latest(shared)
