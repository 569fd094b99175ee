"""Watching a broker: its whole book time and again, and single orders soon after a postback hinted at them.

Called by tasks. What is read is handed to `orders.services.observation` and `.resolution`, which decide.
The hinted ids wait in Redis (`attendance`), so that all hints of one order are one look. A hint may be lost there:
the next poll sees what it was about.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import structlog

from oms.lib.clock import now
from orders.broker_rules import rules_of
from orders.brokers.base import Broker, BrokerError, DefiniteRefusal, SessionExpired, UnknownOutcome
from orders.brokers.registry import broker_for
from orders.gateway.attendance import Attendance, Work, attend
from orders.gateway.known_book import KnownBook
from orders.gateway.locks import alone
from orders.models import BrokerAccount, BrokerMessage
from orders.selectors import awaited
from orders.services.broker_sessions import mark_expired
from orders.services.observation import apply_book
from orders.services.resolution import count_misses, mark_lost, overdue_amendments, to_look_for
from orders.types import OrderSnapshot, TradeSnapshot

LOOK_PAUSE_SECONDS = 0.1
#: Names PostgreSQL advisory locks: (this, broker account).
POLL_LOCK = 0x4F4D53
LOOK_LOCK = 0x4F4D54
#: From so many hinted orders on, reading the whole book in its two calls is the quicker way.
MANY_HINTS = 10
#: Postbacks come in bursts: what is hinted at so soon after the first is looked at with it.
GATHER_SECONDS = 0.02
#: Then others have their turn; what is left waits for the next hint or poll.
LOOK_SECONDS = 5.0

logger = structlog.get_logger(__name__)
#: By broker account: when the session was opened, and what is known of its book since.
_known: dict[int, tuple[datetime | None, KnownBook]] = {}


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
    trades = broker.trade_book()
    ours, known = awaited(account.pk), _known_of(account)
    new_rows, new_trades = known.news(book, trades, changing=ours.amended)
    heard = apply_book(account.pk, new_rows, new_trades, at=now()) if new_rows else set()
    known.learn(book, trades, said_something=heard)
    count_misses(
        account.pk, {row.broker_order_id for row in book}, begun_at=begun_at, at=now(),
        visible_within=rules_of(account.kind).shows_within,
    )  # fmt: skip
    if ours.unknown:
        _look_for_the_missing(account, broker)
    if ours.amended:
        for broker_order_id in overdue_amendments(account.pk, at=now()):
            _look(account, broker, [broker_order_id], BrokerMessage.Source.LOOK)
            time.sleep(LOOK_PAUSE_SECONDS)


def _known_of(account: BrokerAccount) -> KnownBook:
    """What this process knows of the account's book in its present session."""
    session, book = _known.get(account.pk, (None, None))
    if book is None or session != account.session_opened_at:
        book = KnownBook()
        _known[account.pk] = account.session_opened_at, book
    return book


def _look_for_the_missing(account: BrokerAccount, broker: Broker) -> None:
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


def look(broker_account_id: int, broker_order_ids: Sequence[str]) -> None:
    """Read some orders anew, side by side, because postbacks hinted at them. A failure is left to the poll."""
    account = BrokerAccount.objects.get(pk=broker_account_id)
    if account.session_state != BrokerAccount.SessionState.OPEN:
        return
    begun_at = now()
    try:
        _look(account, broker_for(account), broker_order_ids, BrokerMessage.Source.POSTBACK)
    except SessionExpired as error:
        mark_expired(account.pk, message=error.message, at=begun_at)
    except BrokerError as error:
        logger.info("look_failed", broker_account=account.name, reason=error.message)


Sight = tuple[OrderSnapshot, list[TradeSnapshot]]


def _look(account: BrokerAccount, broker: Broker, ids: Sequence[str], source: BrokerMessage.Source) -> None:
    """Apply together what the orders are now. Raises the first failure, after the others were applied."""
    read_at = now()
    if len(ids) == 1:
        seen = [_sight_or_failure(broker, ids[0])]
    else:
        with ThreadPoolExecutor(len(ids), thread_name_prefix="look") as pool:
            seen = list(pool.map(partial(_sight_or_failure, broker), ids))
    sights = [one for one in seen if isinstance(one, tuple)]
    if sights:
        trades = [trade for _, trades in sights for trade in trades]
        snapshots = [snapshot for snapshot, _ in sights]
        apply_book(account.pk, snapshots, trades, at=now(), read_at=read_at, source=source)
    for failure in seen:
        if isinstance(failure, BrokerError):
            raise failure


def _sight_or_failure(broker: Broker, broker_order_id: str) -> Sight | BrokerError | None:
    """The order and its trades; None when there is no such order there: the complete polls decide what that means."""
    try:
        snapshot = broker.order(broker_order_id)
        return snapshot, broker.order_trades(broker_order_id) if snapshot.filled_quantity else []
    except SessionExpired as error:
        return error
    except DefiniteRefusal:
        return None
    except BrokerError as error:
        return error
    except Exception as error:  # a fault of the adapter, which must not cost the other looks
        logger.exception("look_broke", broker_order_id=broker_order_id)
        return UnknownOutcome(f"The order could not be read: {type(error).__name__}")


def look_at_hinted(broker_account_id: int, *, linger: float = 0.0) -> bool:
    """Read anew what was hinted at; False when another look of the account is running, which then does it.

    Stays for `linger` seconds after the last look, for what is hinted at next.
    """
    with alone(LOOK_LOCK, broker_account_id) as is_alone:
        if is_alone:
            at_work = Attendance(Work.LOOKING, broker_account_id)
            attend(at_work, partial(_look_once, at_work), linger=linger, seconds=LOOK_SECONDS)
        return is_alone


def _look_once(at_work: Attendance) -> bool:
    """One look at a handful of hinted orders, or the whole book for many; False when there was no hint."""
    if not at_work.has_notes():
        return False
    time.sleep(GATHER_SECONDS)
    hinted = at_work.noted(MANY_HINTS)
    if len(hinted) == MANY_HINTS:
        at_work.forget_notes()
        poll(at_work.broker_account_id)
    elif hinted:
        look(at_work.broker_account_id, hinted)
    return True
