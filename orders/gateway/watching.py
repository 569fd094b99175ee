"""Watching a broker: the whole book every second, and single orders soon after a postback hinted at them.

Called by tasks. What is read is handed to `orders.services.observation` and `.resolution`, which decide.
The hinted ids wait in Redis, so that all hints of one order are one look. A hint may be lost there: the
next poll sees what it was about.
"""

import time
from datetime import datetime

import structlog

from oms.lib.clock import now
from oms.lib.redis import client
from orders.broker_rules import rules_of
from orders.brokers.base import Broker, BrokerError, DefiniteRefusal, SessionExpired
from orders.brokers.registry import broker_for
from orders.gateway.locks import alone
from orders.models import BrokerAccount, BrokerMessage
from orders.services.broker_sessions import mark_expired
from orders.services.observation import apply_book
from orders.services.resolution import count_misses, mark_lost, overdue_amendments, to_look_for

LOOK_PAUSE_SECONDS = 0.1
#: Names PostgreSQL advisory locks: (this, broker account).
POLL_LOCK = 0x4F4D53
LOOK_LOCK = 0x4F4D54
#: From so many hinted orders on, reading the whole book in its two calls is the quicker way.
MANY_HINTS = 20
#: Then others have their turn; what is left waits for the next hint or poll.
LOOK_SECONDS = 5.0

logger = structlog.get_logger(__name__)


def poll(broker_account_id: int) -> bool:
    """Read the whole book in two calls and apply it; False when another poll of the account is running.

    A failed poll is written on the account, where operators see it, and counts for nothing.
    """
    with alone(POLL_LOCK, broker_account_id) as is_alone:
        if not is_alone:
            return False
        account = BrokerAccount.objects.get(pk=broker_account_id)
        if account.session_state != BrokerAccount.SessionState.OPEN:
            return True
        begun_at = now()
        try:
            _poll(account, broker_for(account), begun_at)
        except SessionExpired as error:
            mark_expired(account.pk, message=error.message, at=begun_at)
        except BrokerError as error:
            message = (error.message or type(error).__name__)[:300]
            logger.warning("poll_failed", broker_account=account.name, reason=message)
            BrokerAccount.objects.filter(pk=account.pk).update(poll_message=message)
        except Exception as error:
            # A process boundary: a fault of our own blinds us like the broker's. Raised on, it would only be in a
            # log, while orders still went out that nobody can see (docs/adr/0009).
            logger.exception("poll_broke", broker_account=account.name)
            message = f"{type(error).__name__}: {error}"[:300]
            BrokerAccount.objects.filter(pk=account.pk).update(poll_message=message)
        else:
            BrokerAccount.objects.filter(pk=account.pk).update(polled_at=begun_at, poll_message="")
    return True


def _poll(account: BrokerAccount, broker: Broker, begun_at: datetime) -> None:
    # Orders before trades: a trade that happens in between shows too early rather than too late.
    book = broker.order_book()
    apply_book(account.pk, book, broker.trade_book(), at=now())
    count_misses(
        account.pk, {row.broker_order_id for row in book}, begun_at=begun_at, at=now(),
        visible_within=rules_of(account.kind).shows_within,
    )  # fmt: skip
    lost = []
    for order_id, tag in to_look_for(account.pk):
        read_at = now()
        found = broker.find_by_tag(tag)
        if found:
            apply_book(account.pk, found, [], at=now(), read_at=read_at, source=BrokerMessage.Source.LOOK)
        else:
            lost.append(order_id)
        time.sleep(LOOK_PAUSE_SECONDS)
    if lost:
        mark_lost(lost, at=now())
    for broker_order_id in overdue_amendments(account.pk, at=now()):
        _look(account, broker, broker_order_id, BrokerMessage.Source.LOOK)
        time.sleep(LOOK_PAUSE_SECONDS)


def look(broker_account_id: int, broker_order_id: str) -> None:
    """Read one order anew, because a postback hinted at it. A failure is left to the poll."""
    account = BrokerAccount.objects.get(pk=broker_account_id)
    if account.session_state != BrokerAccount.SessionState.OPEN:
        return
    begun_at = now()
    try:
        _look(account, broker_for(account), broker_order_id, BrokerMessage.Source.POSTBACK)
    except SessionExpired as error:
        mark_expired(account.pk, message=error.message, at=begun_at)
    except BrokerError as error:
        logger.info("look_failed", broker_account=account.name, reason=error.message)


def _look(account: BrokerAccount, broker: Broker, broker_order_id: str, source: BrokerMessage.Source) -> None:
    read_at = now()
    try:
        snapshot = broker.order(broker_order_id)
    except DefiniteRefusal as error:
        if isinstance(error, SessionExpired):
            raise
        return  # no such order there: the complete polls decide what that means
    trades = broker.order_trades(broker_order_id) if snapshot.filled_quantity else []
    apply_book(account.pk, [snapshot], trades, at=now(), read_at=read_at, source=source)


def note_hint(broker_account_id: int, broker_order_id: str) -> None:
    """Note that an order deserves a look. Raises redis.RedisError."""
    client().sadd(_hinted(broker_account_id), broker_order_id)


def look_at_hinted(broker_account_id: int) -> bool:
    """Read anew what was hinted at; False when another look of the account is running, which then does it."""
    until, key = time.monotonic() + LOOK_SECONDS, _hinted(broker_account_id)
    with alone(LOOK_LOCK, broker_account_id) as is_alone:
        while is_alone and time.monotonic() < until:
            if client().scard(key) >= MANY_HINTS:
                client().delete(key)
                poll(broker_account_id)
                continue
            hinted = client().spop(key)
            if hinted is None:
                break
            look(broker_account_id, str(hinted))
        return is_alone


def _hinted(broker_account_id: int) -> str:
    return f"oms:look:{broker_account_id}"
