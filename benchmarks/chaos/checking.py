"""All checks together, again and again until nothing is wrong or the time is up, and the facts of the trial."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from random import Random

from django.db import close_old_connections, connection, transaction
from django.db.models import Count

from benchmarks.chaos.books import check_books
from benchmarks.chaos.exchange import Exchange
from benchmarks.chaos.finding import Finding, finding
from benchmarks.chaos.load import Record, Request, Trader
from benchmarks.chaos.proof import check_proof, event_count
from benchmarks.chaos.truth import check_settled, check_truth
from compliance.models import Alert
from orders.models import Amendment, Execution, Order


def wait_until_right(
    exchange: Exchange, record: Record, seconds: float, say: Callable[[str], None]
) -> tuple[list[Finding], float]:
    """The findings once nothing is wrong, or as they are after `seconds`; and how long it took.

    What is not right yet is said. The comparison waits until nothing moves any more, and reads one moment.
    """
    close_old_connections()
    began, events = time.monotonic(), -1
    while True:
        took = time.monotonic() - began
        findings, before, events = check_settled(), events, event_count()
        if took >= seconds or (events == before and not _wrong(findings)):
            with _one_moment():
                findings += check_truth(exchange.orders(), record) + check_books() + check_proof()
            if took >= seconds or not _wrong(findings):
                return findings, round(took, 1)
        wrong = "; ".join(f"{len(f.wrong)} {f.rule}, e.g. {f.wrong[0]}" for f in findings if f.wrong)
        say(f"{took:5.1f} s  {wrong or 'still moving'}")
        time.sleep(1.0)


@contextmanager
def _one_moment() -> Iterator[None]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def repeated(first: Trader, last: Trader, record: Record, count: int) -> Finding:
    """Some requests once more under their keys: each must get its first answer, from another time."""
    answered = [request for request in record.requests if request.order_id]
    sample: Iterable[Request] = Random(0).sample(answered, min(count, len(answered)))
    again = ((request, (first if request.user == "trader" else last).repeat(request)) for request in sample)
    return finding("repeats answered differently", (r.key for r, order_id in again if order_id != r.order_id))


def facts(record: Record) -> dict[str, object]:
    """What happened in the trial."""
    counts = Order.objects.values_list("state").annotate(rows=Count("pk"))
    alerts = Alert.objects.values_list("kind").annotate(rows=Count("pk"))
    amendments = Amendment.objects.values_list("kind", "state").annotate(rows=Count("pk"))
    return {
        "orders": dict(chain([("all", Order.objects.count())], counts)),
        "executions": Execution.objects.filter(reverses=None).count(),
        "inferred": Execution.objects.filter(is_inferred=True, reverses=None).count(),
        "amendments": {f"{kind} {state}": rows for kind, state, rows in amendments},
        "sent after s": _waits(),
        "events": event_count(),
        "alerts": dict(alerts),
        "repeated": sum(1 for request in record.requests if request.repeats),
        "refused": dict(record.refusals),
        "answers lost": dict(record.failures),
        "asked to change": dict(record.amendments),
    }


def _waits() -> dict[str, float]:
    """Seconds from taking an order to sending it."""
    sent = Order.objects.exclude(sent_at=None).values_list("created_at", "sent_at")
    waits = sorted((end - begin).total_seconds() for begin, end in sent if end)
    return {f"p{part}": round(waits[(len(waits) - 1) * part // 100], 2) for part in (50, 90, 99, 100)} if waits else {}


def _wrong(findings: list[Finding]) -> bool:
    return any(one.wrong for one in findings)
