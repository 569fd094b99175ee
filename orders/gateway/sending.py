"""The loop between the durable claim and the durable answer: where orders and amendments meet the broker.

Called by tasks. Broker calls run side by side in threads that touch no database; every answer is applied
here as it comes, and its place taken by what waits next, so that one slow call holds up nobody.
"""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog
from django.db import OperationalError, connection

from oms.lib.clock import now
from orders.brokers.base import Broker, BrokerError, DefiniteRefusal, OrderBusy, SessionExpired, Temporary
from orders.brokers.limits import permits
from orders.brokers.registry import broker_for
from orders.gateway.locks import alone
from orders.models import BrokerAccount
from orders.services.amendments.sending import Dispatch, answer_amendment, claim_amendments
from orders.services.broker_sessions import mark_expired
from orders.services.submission import answer_place, claim_orders
from orders.types import Accepted, Busy, LoggedOut, NotSent, Outcome, Refused, Unconfirmed

#: Calls at one time: the broker's orders per second, at a tenth of a second each, need no more.
CONCURRENT_CALLS = 10
#: What certainly was not sent is tried again for so long before it is given up.
TRY_AGAIN_SECONDS = 2.0
#: One drain ends after this; the sweep starts the next if anything waits.
DRAIN_SECONDS = 20.0
PAUSE_SECONDS = 0.1
APPLY_ATTEMPTS = 3
#: Names PostgreSQL advisory locks: (this, broker account).
SEND_LOCK = 0x4F4D55

logger = structlog.get_logger(__name__)


def drain(broker_account_id: int) -> int:
    """Send what waits for one broker account, cancels first, as fast as its limits allow. Returns how many calls.

    While another drain of the account is at it, this one leaves it to that.
    """
    until = time.monotonic() + DRAIN_SECONDS
    with ThreadPoolExecutor(CONCURRENT_CALLS, thread_name_prefix="broker") as pool:
        calls = Calls(pool)
        with alone(SEND_LOCK, broker_account_id) as is_alone:
            while is_alone and time.monotonic() < until:
                claimed = _claim(broker_account_id, calls)
                if not claimed and not calls.under_way and not _held_up(broker_account_id):
                    break
                calls.apply_answers()
        while calls.under_way:  # another drain may already claim what comes now
            calls.apply_answers()
        return calls.made


@dataclass
class Calls:
    """Calls on their way, each in a thread of the pool, and who applies what each came to."""

    pool: ThreadPoolExecutor
    under_way: dict[Future[Outcome], Callable[[Outcome], None]] = field(default_factory=dict)
    made: int = 0

    @property
    def free(self) -> int:
        """How many more calls may be made now."""
        return CONCURRENT_CALLS - len(self.under_way)

    def make(self, call: Callable[[], str], account: str, apply: Callable[[Outcome], None]) -> None:
        """Send one call on its way."""
        self.under_way[self.pool.submit(_outcome, call, account)] = apply
        self.made += 1

    def apply_answers(self) -> None:
        """Wait a moment for answers and apply those that came."""
        if not self.under_way:
            time.sleep(PAUSE_SECONDS)
        done, _ = wait(self.under_way, timeout=PAUSE_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            self.under_way.pop(future)(future.result())


def _claim(broker_account_id: int, calls: Calls) -> int:
    """Claim as many amendments and orders as there are free places, and send them on their way; returns how many."""
    account = BrokerAccount.objects.get(pk=broker_account_id)
    if not calls.free or account.session_state != BrokerAccount.SessionState.OPEN:
        return 0
    broker, made = broker_for(account), calls.made
    for dispatch in claim_amendments(account.pk, limit=calls.free, at=now()):
        apply = partial(_apply, account.pk, now(), partial(answer_amendment, dispatch))
        calls.make(partial(_amend, broker, dispatch), account.name, apply)
    room = min(_room(account), calls.free)
    for submission in claim_orders(account.pk, limit=room, at=now()) if room else []:
        apply = partial(_apply, account.pk, now(), partial(answer_place, submission.order_id))
        calls.make(partial(broker.place, submission.instruction), account.name, apply)
    return calls.made - made


def _apply(broker_account_id: int, began_at: datetime, answer: Callable[..., None], outcome: Outcome) -> None:
    _answer(answer, outcome)
    if isinstance(outcome, LoggedOut):
        mark_expired(broker_account_id, message=outcome.message, at=began_at)


def _answer(answer: Callable[..., None], outcome: Outcome) -> None:
    """Apply one answer in a transaction of its own, anew after a deadlock or a lock that was long in coming.

    Whatever fails, the other answers are still to be applied: what has none is called unknown by the sweep.
    """
    for attempt in range(1, APPLY_ATTEMPTS + 1):
        try:
            answer(outcome, at=now())
        except OperationalError as error:
            logger.warning("answer_not_applied", attempt=attempt, outcome=type(outcome).__name__, reason=str(error))
            if not connection.is_usable():
                connection.close()  # the next attempt opens another
        else:
            return


def _room(account: BrokerAccount) -> int:
    try:
        return permits(account)
    except Temporary:
        return 0  # nobody can count: nothing is sent


def _held_up(broker_account_id: int) -> bool:
    """Whether orders wait only for the rate limit to make room."""
    waiting = BrokerAccount.objects.filter(
        pk=broker_account_id, session_state="OPEN", poll_message="", orders__state="CREATED", orders__broker_order_id=""
    )
    return waiting.exists()


def _amend(broker: Broker, dispatch: Dispatch) -> str:
    if dispatch.terms is None:
        return broker.cancel(dispatch.broker_order_id, variety=dispatch.variety)
    return broker.modify(
        dispatch.broker_order_id,
        variety=dispatch.variety,
        terms=dispatch.terms,
        market_protection=dispatch.market_protection,
    )


def _outcome(call: Callable[[], str], account: str) -> Outcome:
    """What became of one call; only what certainly did not arrive is tried again."""
    until = time.monotonic() + TRY_AGAIN_SECONDS
    while True:
        try:
            return Accepted(call())
        except SessionExpired as error:
            return LoggedOut("SESSION_EXPIRED", error.message, error.raw)
        except DefiniteRefusal as error:
            return Refused(error.code or "REFUSED", error.message, error.raw)
        except Temporary as error:
            pause = error.retry_after or PAUSE_SECONDS
            if time.monotonic() + pause > until:
                came_to = Busy if isinstance(error, OrderBusy) else NotSent
                return came_to(error.message, error.raw)
            time.sleep(pause)
        except BrokerError as error:
            logger.warning("outcome_unknown", broker_account=account, reason=error.message)
            return Unconfirmed(error.message, error.raw)
