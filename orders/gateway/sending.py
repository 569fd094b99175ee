"""The loop between the durable claim and the durable answer: where orders and amendments meet the broker.

Called by tasks. Broker calls run side by side in threads that touch no database. The answers that have come in are
applied together, and their places taken by what waits next, so that one slow call holds up nobody.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

import structlog
from django.db import OperationalError, connection

from oms.lib.clock import now
from orders.brokers.base import Broker, BrokerError, DefiniteRefusal, OrderBusy, SessionExpired, Temporary
from orders.brokers.limits import permits
from orders.brokers.registry import broker_for
from orders.gateway.attendance import Attendance, Work, attend
from orders.gateway.locks import alone
from orders.models import BrokerAccount
from orders.selectors import Waiting, waiting_for
from orders.services.amendments.sending import Dispatch, answer_amendments, claim_amendments
from orders.services.broker_sessions import mark_expired
from orders.services.submission import Submission, answer_placements, claim_orders
from orders.types import Accepted, Busy, LoggedOut, NotSent, Outcome, Refused, Unconfirmed

#: Calls at one time. A broker's orders per second, at a tenth of a second each, need fewer.
CONCURRENT_CALLS = 20
#: What certainly was not sent is tried again for so long before it is given up.
TRY_AGAIN_SECONDS = 2.0
#: One drain ends after this; the sweep starts the next if anything waits.
DRAIN_SECONDS = 20.0
PAUSE_SECONDS = 0.1
#: Answers that come so soon after the first are applied with it.
GATHER_SECONDS = 0.01
APPLY_ATTEMPTS = 3
#: Names PostgreSQL advisory locks: (this, broker account).
SEND_LOCK = 0x4F4D55

logger = structlog.get_logger(__name__)


def drain(broker_account_id: int, *, linger: float = 0.0) -> int:
    """Send what waits for one broker account, cancels first, as fast as its limits allow. Returns how many calls.

    Stays for `linger` seconds after the last call, for what comes next. While another drain of the account is at it,
    this one leaves it to that.
    """
    with ThreadPoolExecutor(CONCURRENT_CALLS, thread_name_prefix="broker") as pool:
        calls = Calls(broker_account_id, pool)
        try:
            with alone(SEND_LOCK, broker_account_id) as is_alone:
                if is_alone:
                    at_work = Attendance(Work.SENDING, broker_account_id)
                    attend(at_work, calls.go_on, linger=linger, seconds=DRAIN_SECONDS)
        finally:  # whatever ended it: what is on its way is real, and its answers are heard
            calls.finish()
        return calls.made


A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


class Apply(Protocol[A_contra]):
    """How answers are applied; see `answer_placements`."""

    def __call__(self, answers: Sequence[A_contra], /, *, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Call:
    """What was claimed, and when the broker was called for it."""

    claimed: Submission | Dispatch
    began_at: datetime


@dataclass
class Calls:
    """Calls of one broker account on their way, each in a thread of the pool."""

    broker_account_id: int
    pool: ThreadPoolExecutor
    under_way: dict[Future[Outcome], Call] = field(default_factory=dict)
    made: int = 0
    _account: BrokerAccount | None = None

    def go_on(self) -> bool:
        """Claim what waits as far as there is room, and apply what has come in; False when there is nothing to do.

        What is claimed is on its way while the answers are applied.
        """
        answers = self._answers()
        try:
            something_waits = self._claim_what_waits()
        finally:
            self._apply(answers)
        is_at_work = bool(answers or self.under_way)
        if not is_at_work and something_waits:  # the rate limit has no room just now, or the claim failed
            time.sleep(PAUSE_SECONDS)
        return is_at_work or something_waits

    def finish(self) -> None:
        """Apply what is under way, and claim nothing more: another drain may do that by now."""
        while self.under_way:
            self._apply(self._answers())

    def _claim_what_waits(self) -> bool:
        """Whether anything waits. A claim that fails is logged and tried again after a pause.

        Raises what went wrong when the connection is lost: gone with it is the right to be alone.
        """
        try:
            waiting = waiting_for(self.broker_account_id, at=now())
            self._claim(waiting)
        except Exception:
            if _has_lost_connection():
                raise
            logger.exception("claim_failed", broker_account=self.broker_account_id)
            return True
        return waiting.anything

    def _claim(self, waiting: Waiting) -> None:
        """Claim as many amendments and orders as there are free places, and send them on their way."""
        account = self._account_of(waiting)
        broker = broker_for(account)
        if waiting.amendments and self._free:
            for dispatch in claim_amendments(account.pk, limit=self._free, at=now()):
                self._make(dispatch, partial(_amend, broker, dispatch), account.name)
        room = min(_room(account), self._free) if waiting.orders and self._free else 0
        for submission in claim_orders(account.pk, limit=room, at=now()) if room else ():
            self._make(submission, partial(broker.place, submission.instruction), account.name)

    @property
    def _free(self) -> int:
        """How many more calls may be made now."""
        return CONCURRENT_CALLS - len(self.under_way)

    def _account_of(self, waiting: Waiting) -> BrokerAccount:
        """The account with the token of its present session; deciphering that is dear, so it is read once a session."""
        if self._account is None or self._account.session_opened_at != waiting.session_opened_at:
            self._account = BrokerAccount.objects.get(pk=self.broker_account_id)
        return self._account

    def _make(self, claimed: Submission | Dispatch, call: Callable[[], str], account: str) -> None:
        self.under_way[self.pool.submit(_outcome, call, account)] = Call(claimed, now())
        self.made += 1

    def _answers(self) -> list[tuple[Call, Outcome]]:
        """What has come in after a moment's wait."""
        if not self.under_way:
            return []
        wait(self.under_way, timeout=PAUSE_SECONDS, return_when=FIRST_COMPLETED)
        done, _ = wait(self.under_way, timeout=GATHER_SECONDS)
        return [(self.under_way.pop(future), future.result()) for future in done]

    def _apply(self, answers: Sequence[tuple[Call, Outcome]]) -> None:
        """Apply the answers of orders together, and those of amendments."""
        placements = [(c.claimed.order_id, outcome) for c, outcome in answers if isinstance(c.claimed, Submission)]
        amendments = [(c.claimed, outcome) for c, outcome in answers if isinstance(c.claimed, Dispatch)]
        _apply(answer_placements, placements)
        _apply(answer_amendments, amendments)
        expired = [(c.began_at, outcome.message) for c, outcome in answers if isinstance(outcome, LoggedOut)]
        _apply(self._expire, [max(expired)] if expired else [])

    def _expire(self, ends: Sequence[tuple[datetime, str]], *, at: datetime) -> None:
        """Note that the session was over when a call began, whenever (`at`) that is noted."""
        for began_at, message in ends:
            mark_expired(self.broker_account_id, message=message, at=began_at)


def _apply(answer: "Apply[A]", answers: Sequence[A]) -> None:
    """Apply answers in one transaction; after a deadlock, or a lock that was long in coming, each in one of its own.

    So an order that somebody holds for long costs the others nothing. What fails for good has no answer: the sweep
    calls it unknown.
    """
    if answers and not _is_applied(answer, answers):
        for one in answers:
            any(_is_applied(answer, [one]) for _ in range(APPLY_ATTEMPTS))


def _is_applied(answer: "Apply[A]", answers: Sequence[A]) -> bool:
    try:
        answer(answers, at=now())
    except OperationalError as error:
        logger.warning("answers_not_applied", answers=len(answers), reason=str(error))
    except Exception:  # raised on, it would cost the answers that come after these
        logger.exception("answers_not_applied", answers=len(answers))
    else:
        return True
    _has_lost_connection()
    return False


def _has_lost_connection() -> bool:
    """Whether the connection was dead; then the next query opens another."""
    is_lost = not connection.is_usable()
    if is_lost:
        connection.close()
    return is_lost


def _room(account: BrokerAccount) -> int:
    try:
        return permits(account)
    except Temporary:
        return 0  # nobody can count: nothing is sent


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
        except Exception as error:  # a fault of the adapter: the call may have arrived all the same
            logger.exception("outcome_unknown", broker_account=account)
            return Unconfirmed(f"The answer could not be read: {type(error).__name__}", {})
