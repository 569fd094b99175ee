"""Celery's doors: each task names an account and calls one function. Any of them may run twice, or never.

The rows are the work queue; `sweep` finds what a lost hint left behind.
"""

from typing import Any

import redis
import structlog
from celery import shared_task
from django.conf import settings

from oms.lib import hints
from oms.lib.clock import now
from oms.lib.redis import BRIEF_SECONDS, client
from orders.gateway import logins, market_data, sending, watching
from orders.models import BrokerAccount
from orders.selectors import open_sessions, with_work_waiting
from orders.services.amendments.sending import abandon_amendments, close_lost_cancels
from orders.services.submission import abandon_submissions, expire_unsent

#: A hint already on its way is not sent again for so long.
HINT_SECONDS = 1
logger = structlog.get_logger(__name__)


def hint_to_send(broker_account_id: int) -> None:
    """Tell a worker that something waits, once however many ask at the same time."""
    try:
        _hint(submit_orders, broker_account_id)
    except (redis.RedisError, *submit_orders.app.connection().recoverable_connection_errors) as error:
        logger.warning("hint_lost", broker_account=broker_account_id, reason=type(error).__name__)


def hint_to_look(broker_account_id: int, broker_order_id: str) -> None:
    """Tell a worker that a broker says that an order changed. Raises redis.RedisError or kombu's OperationalError."""
    watching.note_hint(broker_account_id, broker_order_id)
    _hint(look_at_orders, broker_account_id)


def _hint(task: Any, broker_account_id: int) -> None:
    if client(timeout=BRIEF_SECONDS).set(_hint_key(task, broker_account_id), 1, nx=True, ex=HINT_SECONDS):
        task.apply_async([broker_account_id])


def _hint_key(task: Any, broker_account_id: int) -> str:
    return f"oms:hint:{task.name}:{broker_account_id}"


def hint_to_look_again(broker_account_id: int, broker_order_id: str) -> None:
    """The same, from within: the next poll hints again."""
    try:
        hint_to_look(broker_account_id, broker_order_id)
    except (redis.RedisError, *look_at_orders.app.connection().recoverable_connection_errors) as error:
        logger.warning("hint_lost", broker_account=broker_account_id, reason=type(error).__name__)


hints.listen("submit", hint_to_send)
hints.listen("look", hint_to_look_again)
hints.listen("amend", hint_to_send)


@shared_task
def submit_orders(broker_account_id: int) -> int:
    """Send what waits for one broker account. The hint is cleared first: what comes later asks again."""
    client().delete(_hint_key(submit_orders, broker_account_id))
    calls = sending.drain(broker_account_id)
    if calls and broker_account_id in with_work_waiting(at=now()):
        hint_to_send(broker_account_id)  # it came at the very end
    return calls


@shared_task
def poll_broker(broker_account_id: int) -> None:
    """Read and apply the whole book of one broker account."""
    watching.poll(broker_account_id)


@shared_task
def look_at_orders(broker_account_id: int) -> None:
    """Read anew what postbacks hinted at. The hint is cleared first, as above."""
    client().delete(_hint_key(look_at_orders, broker_account_id))
    watching.look_at_hinted(broker_account_id)


@shared_task
def hint_polls() -> None:
    """Every second: one poll for each open session. A poll that finds the last one still running ends at once."""
    for broker_account_id in open_sessions():
        poll_broker.apply_async([broker_account_id], expires=settings.POLL_SECONDS)


@shared_task
def sweep() -> None:
    """Every second: find what was left behind by lost hints and dead workers, and keep sessions open."""
    at = now()
    logins.keep_sessions(at=at)
    expire_unsent(at=at)
    abandon_submissions(at=at)
    abandon_amendments(at=at)
    close_lost_cancels(at=at)
    for broker_account_id in with_work_waiting(at=at):
        hint_to_send(broker_account_id)


@shared_task
def refresh_prices() -> None:
    """Every second: quotes from each open session, at the pace that the broker allows."""
    for broker_account_id in open_sessions():
        market_data.refresh_prices(broker_account_id)


@shared_task
def welcome_session(broker_account_id: int) -> None:
    """After a login, and daily: instruments, prices, what was held before."""
    market_data.welcome_session(broker_account_id)
    market_data.refresh_prices(broker_account_id)


@shared_task
def refresh_instruments() -> None:
    """Now and then: the day's instrument dump of each kind of broker, once a day."""
    for account in BrokerAccount.objects.filter(session_state=BrokerAccount.SessionState.OPEN).order_by("pk"):
        if market_data.instruments_are_stale(account, now()):
            welcome_session.apply_async([account.pk])


hints.listen("session", lambda broker_account_id: welcome_session.apply_async([broker_account_id]))
