"""Which adapter speaks for a broker account, one client per process and present settings.

A client holds sockets, which two processes must never share, and a token, which changes every day:
both are part of what a cached client is looked up by.
"""

import os
import threading

from orders.brokers.base import Broker
from orders.brokers.kite.client import KiteBroker, KiteSettings
from orders.brokers.limits import Limiter
from orders.brokers.outage import Outage
from orders.models import BrokerAccount

#: The paper exchange's login page, beside its REST routes.
PAPER_LOGIN_ROUTE = "/connect/login"

_Fingerprint = tuple[int, KiteSettings, tuple[int, ...]]
_lock = threading.Lock()
_clients: dict[int, tuple[_Fingerprint, KiteBroker]] = {}


def broker_for(account: BrokerAccount) -> Broker:
    """The client of an account with the token and rates of the row given. Both kinds speak Kite v3."""
    rates = (
        account.orders_per_second, account.orders_per_minute, account.orders_per_day, account.other_calls_per_second,
    )  # fmt: skip
    fingerprint = (os.getpid(), _settings_of(account), rates)
    with _lock:
        known, client = _clients.get(account.pk, (None, None))
        if client is not None and known == fingerprint:
            return client
        limiter = Limiter(account)
        fresh = KiteBroker(fingerprint[1], limiter, Outage(limiter, f"outage:{account.pk}"))
        _clients[account.pk] = (fingerprint, fresh)
    return fresh


def _settings_of(account: BrokerAccount) -> KiteSettings:
    login_page = account.login_page_url
    if not login_page and account.kind == BrokerAccount.Kind.PAPER:
        login_page = account.root_url.rstrip("/") + PAPER_LOGIN_ROUTE
    return KiteSettings(
        root_url=account.root_url,
        route_prefix=account.route_prefix,
        api_key=account.api_key,
        api_secret=account.api_secret,
        access_token=account.access_token,
        login_page_url=login_page,
        egress_address=account.egress_address,
    )
