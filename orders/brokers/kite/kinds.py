"""Zerodha Kite, and the paper exchange, which speaks Kite as well, as kinds of brokers: rules, login and postbacks."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from functools import partial
from hashlib import sha256
from hmac import compare_digest
from typing import Any

import orjson

from orders.broker_rules import BrokerRules, Rates
from orders.brokers.base import Broker, BrokerKind, ClientSettings, DefiniteRefusal, Postback, ReturnedLogin
from orders.brokers.limits import Limiter
from orders.brokers.outage import Outage

#: The paper exchange's login page, beside its REST routes.
PAPER_LOGIN_ROUTE = "/connect/login"

#: Tokens die at 06:00 (regulation), and what was minted before about 07:30 may be flushed then.
RULES = BrokerRules(
    name="Zerodha Kite",
    session_ends=time(6),
    flushed_until=time(7, 30),
    rates=Rates(
        orders_per_second=10, orders_per_minute=400, orders_per_day=5000, modifications_per_order=25,
        other_calls_per_second=10,
    ),
)  # fmt: skip
PAPER_RULES = replace(RULES, name="Paper exchange", flushed_until=None, is_simulated=True)


def connect(settings: ClientSettings, limiter: Limiter, outage: Outage) -> Broker:
    """The client of one account."""
    from orders.brokers.kite.client import KiteBroker

    return KiteBroker(settings, limiter, outage)


def connect_to_paper(settings: ClientSettings, limiter: Limiter, outage: Outage) -> Broker:
    """The client of one account at the paper exchange, whose login page is its own."""
    page = settings.login_page_url or settings.root_url.rstrip("/") + PAPER_LOGIN_ROUTE
    return connect(replace(settings, login_page_url=page), limiter, outage)


def read_login(query: Mapping[str, str]) -> ReturnedLogin:
    """The request token that the login page sent a person back with. Raises DefiniteRefusal when there is none."""
    if query.get("status") != "success" or query.get("action", "login") != "login":
        raise DefiniteRefusal("The broker's login page reported no success: nobody was logged in.")
    if not query.get("request_token"):
        raise DefiniteRefusal("The broker's login page sent no request_token.")
    return ReturnedLogin(query.get("state", ""), query["request_token"])


def read_postback(body: bytes, _headers: Mapping[str, str]) -> Postback | None:
    """An order's new row, whose checksum covers two of its fields and the API secret."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(payload, dict):
        return None
    clients = tuple(sorted({payload[key] for key in ("user_id", "account_id") if isinstance(payload.get(key), str)}))
    return Postback(clients, str(payload.get("order_id") or ""), partial(_is_signed_with, payload))


def _is_signed_with(payload: dict[str, Any], secret: str) -> bool:
    parts = [payload.get(name) for name in ("order_id", "order_timestamp", "checksum")]
    if not all(isinstance(part, str) and part for part in parts):
        return False
    order_id, order_timestamp, checksum = (str(part) for part in parts)
    expected = sha256(f"{order_id}{order_timestamp}{secret}".encode()).hexdigest()
    return compare_digest(expected.encode(), checksum.encode())


KITE = BrokerKind(rules=RULES, connect=connect, read_login=read_login, read_postback=read_postback)
PAPER = BrokerKind(rules=PAPER_RULES, connect=connect_to_paper, read_login=read_login, read_postback=read_postback)
