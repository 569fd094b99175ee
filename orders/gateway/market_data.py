"""What the market is like, as a broker tells it: quotes, the day's instruments, and what an account held before.

Called by tasks. What is read is handed to the ledger, which decides.
"""

from decimal import Decimal

import structlog

from ledger.market.hours import HOURS
from ledger.selectors import instruments_are_stale
from ledger.services.holdings import HeldBefore, open_holdings
from ledger.services.instruments import apply_quotes, list_quotable, sync_instruments
from oms.lib.actors import BROKER
from oms.lib.clock import now
from orders.brokers.base import BrokerError, Temporary
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
