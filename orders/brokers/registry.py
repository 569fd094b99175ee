"""Which kinds of brokers there are, and the client of a broker account: one per process and present settings.

A client holds sockets, which two processes must never share, a token, which changes every day, and names of
instruments, which are read anew with the instruments: all are part of what a cached client is looked up by.
"""

import os
import threading
from datetime import datetime

from ledger.selectors import names_at
from orders import broker_rules
from orders.brokers.base import Broker, BrokerKind, ClientSettings
from orders.brokers.kite.kinds import KITE, PAPER
from orders.brokers.limits import Limiter
from orders.brokers.names import Names, Translated
from orders.brokers.outage import Outage
from orders.models import BrokerAccount

#: By what `BrokerAccount.kind` says. Another broker is another line below.
KINDS: dict[str, BrokerKind] = {}

_Fingerprint = tuple[int, str, datetime | None, ClientSettings, tuple[int, ...]]
_lock = threading.Lock()
_clients: dict[int, tuple[_Fingerprint, Broker]] = {}


def register(kind: str, entry: BrokerKind) -> None:
    """Let broker accounts be of a kind, and tell services its rules."""
    KINDS[kind], broker_rules.RULES[kind] = entry, entry.rules


register("KITE", KITE)
register("PAPER", PAPER)


def broker_for(account: BrokerAccount) -> Broker:
    """The client of an account with the token and rates of the row given; it speaks the house's names of instruments.

    Raises KeyError for an unknown kind. Not to be called in a thread without a database connection.
    """
    rates = (
        account.orders_per_second, account.orders_per_minute, account.orders_per_day, account.other_calls_per_second,
    )  # fmt: skip
    settings = _settings_of(account)
    fingerprint = (os.getpid(), account.kind, account.instruments_at, settings, rates)
    with _lock:
        known, client = _clients.get(account.pk, (None, None))
        if client is not None and known == fingerprint:
            return client
        fresh = _named(_connected(account, settings), account.kind)
        _clients[account.pk] = (fingerprint, fresh)
    return fresh


def _connected(account: BrokerAccount, settings: ClientSettings) -> Broker:
    kind = KINDS[account.kind]
    limiter = Limiter(account, quotes_per_second=kind.rules.quotes_per_second)
    return kind.connect(settings, limiter, Outage(limiter, f"outage:{account.pk}"))


def _named(broker: Broker, kind: str) -> Broker:
    """A broker that spells everything as we do needs no translation."""
    names = Names.of(names_at(kind, with_tokens=KINDS[kind].rules.needs_tokens))
    return Translated(broker, names) if names else broker


def _settings_of(account: BrokerAccount) -> ClientSettings:
    return ClientSettings(
        root_url=account.root_url,
        api_key=account.api_key,
        api_secret=account.api_secret,
        access_token=account.access_token,
        client_id=account.client_id,
        route_prefix=account.route_prefix,
        login_page_url=account.login_page_url,
        egress_address=account.egress_address,
    )
