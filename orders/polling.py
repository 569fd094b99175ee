"""Watching a broker: the whole book every second, single orders when something hints at them.

Called by tasks. What is read is handed to `orders.services.execution` and `.resolution`, which decide.
"""

import time
from datetime import datetime
from decimal import Decimal

import structlog

from ledger.selectors import instruments_are_stale
from ledger.services.holdings import HeldBefore, open_holdings
from ledger.services.instruments import apply_quotes, list_quotable, sync_instruments
from ledger.trading_hours import HOURS
from oms.lib.actors import BROKER
from oms.lib.clock import now
from orders.brokers.base import Broker, BrokerError, DefiniteRefusal, SessionExpired, Temporary
from orders.brokers.registry import broker_for
from orders.locks import alone
from orders.models import BrokerAccount, BrokerMessage
from orders.selectors import instruments_in_use
from orders.services.broker_sessions import mark_expired
from orders.services.execution import apply_book
from orders.services.resolution import count_misses, mark_lost, overdue_amendments, to_look_for

LOOK_PAUSE_SECONDS = 0.1
#: Names PostgreSQL advisory locks: (this, broker account).
POLL_LOCK = 0x4F4D53

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
    count_misses(account.pk, {row.broker_order_id for row in book}, begun_at=begun_at, at=now())
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


def refresh(broker_account_id: int, broker_order_id: str) -> None:
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
        logger.info("refresh_failed", broker_account=account.name, reason=error.message)


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


def refresh_prices(broker_account_id: int) -> int:
    """Ask for quotes and store prices and bands; returns how many quotes came."""
    account = BrokerAccount.objects.get(pk=broker_account_id)
    if account.session_state != BrokerAccount.SessionState.OPEN:
        return 0
    try:
        quotes = broker_for(account).quotes(list_quotable(instruments_in_use(account.pk)))
    except Temporary:
        return 0  # the pace of quotes is the broker's: a second later it is our turn
    except BrokerError as error:
        logger.info("quotes_failed", broker_account=account.name, reason=error.message)
        return 0
    apply_quotes(quotes, at=now())
    return len(quotes)


def welcome_session(broker_account_id: int) -> None:
    """After a login: the day's instruments and prices, and, once, what the account held before it came here."""
    account = BrokerAccount.objects.select_related("default_account").get(pk=broker_account_id)
    broker, at = broker_for(account), now()
    try:
        if instruments_are_stale(at):
            sync_instruments(broker.instruments(HOURS), at=at)
        held = [
            HeldBefore(row["exchange"], row["tradingsymbol"], Decimal(row["quantity"]), Decimal(row["average_price"]))
            for row in broker.holdings()
            if row["quantity"] > 0
        ]
        open_holdings(account.default_account.code, held, actor=BROKER, at=at)
    except BrokerError as error:
        logger.warning("session_welcome_failed", broker_account=account.name, reason=error.message)
