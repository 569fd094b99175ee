"""What the market is like, as a broker tells it: quotes, the day's instruments, and what an account held before.

Called by tasks. What is read is handed to the ledger, which decides.
"""

from datetime import datetime

import structlog

from ledger.market.hours import HOURS
from ledger.services.holdings import HeldBefore, open_holdings
from ledger.services.instruments import apply_quotes, list_quotable, sync_instruments
from oms.lib.actors import BROKER
from oms.lib.clock import ist_date, now
from orders.brokers.base import BrokerError, InstrumentName, Temporary
from orders.brokers.registry import broker_for
from orders.models import BrokerAccount
from orders.selectors import instruments_in_use

logger = structlog.get_logger(__name__)


def refresh_prices(broker_account_id: int) -> int:
    """Ask for quotes and store prices and bands; returns how many quotes came."""
    account = BrokerAccount.objects.get(pk=broker_account_id)
    if account.session_state != BrokerAccount.SessionState.OPEN:
        return 0
    try:
        wanted = [InstrumentName(*name) for name in list_quotable(instruments_in_use(account.pk))]
        quotes = broker_for(account).quotes(wanted)
    except Temporary:
        return 0  # the pace of quotes is the broker's: a second later it is our turn
    except BrokerError as error:
        logger.info("quotes_failed", broker_account=account.name, reason=error.message)
        return 0
    apply_quotes(quotes, at=now())
    return len(quotes)


def instruments_are_stale(account: BrokerAccount, at: datetime) -> bool:
    """Whether the instruments of the account's kind of broker were not read yet on this IST day."""
    return account.instruments_at is None or ist_date(account.instruments_at) < ist_date(at)


def welcome_session(broker_account_id: int) -> None:
    """After a login: the day's instruments and prices, and, once, what the account held before it came here."""
    account = BrokerAccount.objects.select_related("default_account").get(pk=broker_account_id)
    broker, at = broker_for(account), now()
    try:
        if instruments_are_stale(account, at):
            read = sync_instruments(account.kind, broker.instruments(HOURS), at=at)
            account.instruments_at = at if read.listed else None
            BrokerAccount.objects.filter(kind=account.kind).update(instruments_at=account.instruments_at)
            broker = broker_for(account)  # which may know new names now
        held = [
            HeldBefore(row.exchange, row.symbol, row.quantity, row.average_price)
            for row in broker.holdings()
            if row.quantity > 0
        ]
        open_holdings(account.default_account.code, held, actor=BROKER, at=at)
    except BrokerError as error:
        logger.warning("session_welcome_failed", broker_account=account.name, reason=error.message)
