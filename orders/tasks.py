"""Celery's doors: each task names an account and calls one function. Any of them may run twice, or never.

The rows are the work queue; `sweep` finds what a lost hint left behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

import redis
import structlog
from celery import current_app, shared_task
from django.conf import settings

from ledger.market.prices import wanted_since
from oms.lib import hints
from oms.lib.clock import now
from oms.lib.hints import Hint
from orders.gateway import logins, market_data, sending, watching
from orders.gateway.attendance import Attendance, Work
from orders.gateway.locks import alone
from orders.models import BrokerAccount
from orders.selectors import QUIET, due_polls, with_work_waiting
from orders.services.amendments.sending import abandon_amendments, close_lost_cancels, tell_of_held_up
from orders.services.submission import abandon_submissions, expire_unsent

#: A worker that has done what it was called for stays so long for what comes next.
LINGER_SECONDS = 0.25
#: So long ago somebody may have asked for a price in vain for prices to be read at once, however quiet it is.
WISH = timedelta(seconds=2)
#: Names PostgreSQL advisory locks: (this, broker account).
WATCH_LOCK = 0x4F4D56
logger = structlog.get_logger(__name__)


class Step(Protocol):
    """One thing that the sweep does each second."""

    def __call__(self, *, at: datetime) -> object: ...


def hint_to_send(broker_account_id: int) -> None:
    """Tell a worker that something waits, once however many ask at the same time."""
    with _a_lost_hint_is_logged(broker_account_id):
        _hint(submit_orders, Work.SENDING, broker_account_id)


def hint_to_look(broker_account_id: int, broker_order_id: str) -> None:
    """Tell a worker that a broker says that an order changed. Raises redis.RedisError or kombu's OperationalError."""
    _hint(look_at_orders, Work.LOOKING, broker_account_id, about=broker_order_id)


def hint_to_look_again(broker_account_id: int, broker_order_id: str) -> None:
    """The same, from within: the next poll hints again."""
    with _a_lost_hint_is_logged(broker_account_id):
        hint_to_look(broker_account_id, broker_order_id)


def _hint(task: Any, work: Work, broker_account_id: int, *, about: str = "") -> None:
    if not Attendance(work, broker_account_id).ring(about):
        task.apply_async([broker_account_id])


@contextmanager
def _a_lost_hint_is_logged(broker_account_id: int) -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, *current_app.connection().recoverable_connection_errors) as error:
        logger.warning("hint_lost", broker_account=broker_account_id, reason=type(error).__name__)


hints.listen(Hint.SEND, hint_to_send)
hints.listen(Hint.LOOK, hint_to_look_again)


@shared_task
def submit_orders(broker_account_id: int) -> int:
    """Send what waits for one broker account, and what comes meanwhile."""
    calls = sending.drain(broker_account_id, linger=LINGER_SECONDS)
    if calls and broker_account_id in with_work_waiting(at=now()):
        hint_to_send(broker_account_id)  # its time was over, or this came at the very end
    return calls


@shared_task
def look_at_orders(broker_account_id: int) -> None:
    """Read anew what postbacks hinted at, and at what they hint meanwhile."""
    watching.look_at_hinted(broker_account_id, linger=LINGER_SECONDS)


@shared_task
def every_second() -> None:
    """The one beat: find what lost hints and dead workers left behind, and watch the brokers that are due.

    Each of several brokers is watched by a task of its own, so that none waits for another.
    """
    at = now()
    sweep(at=at)
    _watch(at)


def _watch(at: datetime) -> None:
    quiet = timedelta(0) if wanted_since(at - WISH) else QUIET
    *others, one = due_polls(at=at, quiet=quiet) or (None,)
    for broker_account_id in others:
        watch_broker.apply_async([broker_account_id], expires=settings.POLL_SECONDS)
    if one is not None:
        watch_broker(one)


def sweep(*, at: datetime) -> None:
    """Find what was left behind by lost hints and dead workers, and keep sessions open.

    Each step for itself: one that fails is logged, and comes again in a second.
    """
    steps: list[Step] = [
        logins.keep_sessions, expire_unsent, abandon_submissions, abandon_amendments, close_lost_cancels,
        tell_of_held_up, _hint_to_send,
    ]  # fmt: skip
    for step in steps:
        try:
            step(at=at)
        except Exception:
            logger.exception("sweep_step_failed", step=getattr(step, "__name__", repr(step)))


def _hint_to_send(*, at: datetime) -> None:
    for broker_account_id in with_work_waiting(at=at):
        hint_to_send(broker_account_id)


@shared_task
def watch_broker(broker_account_id: int) -> None:
    """Read one broker's book and prices, unless the last watch still does, for a broker may be slow."""
    with alone(WATCH_LOCK, broker_account_id) as is_alone:
        if is_alone:
            watching.poll(broker_account_id)
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


hints.listen(Hint.SESSION, lambda broker_account_id: welcome_session.apply_async([broker_account_id]))
