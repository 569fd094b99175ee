"""The loop between the durable claim and the durable answer: where orders and amendments meet the broker.

Called by tasks. Broker calls run side by side in threads that touch no database; every answer is applied
here as it comes, so that one slow call holds up nobody.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any

import structlog

from oms.lib.clock import now
from orders.brokers.base import Broker, BrokerError, DefiniteRefusal, SessionExpired, Temporary
from orders.brokers.limits import permits
from orders.brokers.registry import broker_for
from orders.models import BrokerAccount
from orders.services.broker_sessions import mark_expired
from orders.services.dispatch import Dispatch, answer_amendment, claim_amendments
from orders.services.submission import answer_place, claim_orders
from orders.types import Accepted, NotSent, Outcome, Refused, Unconfirmed

#: Calls at one time: the broker's orders per second, at a tenth of a second each, need no more.
CONCURRENT_CALLS = 10
#: What certainly was not sent is tried again for so long before it is given up.
TRY_AGAIN_SECONDS = 2.0
#: One drain ends after this; the sweep starts the next if anything waits.
DRAIN_SECONDS = 20.0
PAUSE_SECONDS = 0.1

logger = structlog.get_logger(__name__)


def drain(broker_account_id: int) -> int:
    """Send what waits for one broker account, cancels first, as fast as its limits allow. Returns how many calls."""
    calls = 0
    until = time.monotonic() + DRAIN_SECONDS
    with ThreadPoolExecutor(CONCURRENT_CALLS, thread_name_prefix="broker") as pool:
        while time.monotonic() < until:
            account = BrokerAccount.objects.get(pk=broker_account_id)
            if account.session_state != BrokerAccount.SessionState.OPEN:
                break
            sent = _round(account, pool)
            calls += sent
            if not sent and not _held_up(broker_account_id):
                break
            if not sent:
                time.sleep(PAUSE_SECONDS)
    return calls


def _round(account: BrokerAccount, pool: ThreadPoolExecutor) -> int:
    broker = broker_for(account)
    began_at = now()
    answers: dict[Future[Outcome], Callable[..., None]] = {}
    for dispatch in claim_amendments(account.pk, limit=CONCURRENT_CALLS, at=now()):
        call = partial(_amend, broker, dispatch)
        answers[pool.submit(_outcome, call, account.name)] = partial(answer_amendment, dispatch)
    room = min(_room(account), CONCURRENT_CALLS)
    for submission in claim_orders(account.pk, limit=room, at=now()) if room else []:
        call = partial(broker.place, submission.instruction)
        answers[pool.submit(_outcome, call, account.name)] = partial(answer_place, submission.order_id)
    for future in as_completed(answers):
        outcome = future.result()
        answers[future](outcome, at=now())
        if isinstance(outcome, Refused) and outcome.code == SESSION_EXPIRED:
            mark_expired(account.pk, message=outcome.message, at=began_at)
    return len(answers)


SESSION_EXPIRED = "TokenException"


def _room(account: BrokerAccount) -> int:
    try:
        return permits(account)
    except Temporary:
        return 0  # nobody can count: nothing is sent


def _held_up(broker_account_id: int) -> bool:
    """Whether orders wait only for the rate limit to make room."""
    waiting: Any = BrokerAccount.objects.filter(
        pk=broker_account_id, poll_message="", orders__state="CREATED", orders__broker_order_id=""
    )
    return bool(waiting.exists())


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
            return Refused(SESSION_EXPIRED, error.message, error.raw)
        except DefiniteRefusal as error:
            return Refused(error.code or "REFUSED", error.message, error.raw)
        except Temporary as error:
            pause = error.retry_after or PAUSE_SECONDS
            if time.monotonic() + pause > until:
                return NotSent(error.message, error.raw)
            time.sleep(pause)
        except BrokerError as error:
            logger.warning("outcome_unknown", broker_account=account, reason=error.message)
            return Unconfirmed(error.message, error.raw)
