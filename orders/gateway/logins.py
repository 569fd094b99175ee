"""Opening, keeping and closing broker sessions: where the services meet the broker itself.

Doors and tasks call this; what it leaves in the database is `orders.services.broker_sessions`'s. The demo
logs itself in at the paper exchange, through the same routes that a browser takes; nothing ever does so
where money is real, where a person must.
"""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import httpx
import redis
import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser

from oms.lib.actors import SYSTEM, Actor
from oms.lib.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable
from oms.lib.redis import client
from oms.lib.users import User
from orders.broker_rules import rules_of, simulated_kinds
from orders.brokers.base import BrokerError, DefiniteRefusal, ReturnedLogin, Session
from orders.brokers.registry import KINDS, broker_for
from orders.models import BrokerAccount
from orders.services import broker_sessions

PAGE_SECONDS = 2.0
#: One automatic login in so many seconds, whichever process makes it.
AUTO_LOGIN_SECONDS = 3

logger = structlog.get_logger(__name__)


def begin_login(broker_account_id: int, *, user: AbstractBaseUser, actor: Actor, reason: str) -> str:
    """The address of the broker's login page for this person. Raises as `broker_sessions.start_login`."""
    state = broker_sessions.start_login(broker_account_id, user=user, actor=actor, reason=reason)
    return broker_for(_account(broker_account_id)).login_url(state=state)


def complete_login(kind: str, query: Mapping[str, str], *, actor: Actor, at: datetime) -> BrokerAccount:
    """Exchange what the login page of a kind of broker handed back for a session.

    Raises Invalid when it handed back no login, as `broker_sessions.redeem_login` and `record_login`, Conflict when
    the broker refuses the token, Unavailable when it does not answer.
    """
    returned = _returned(kind, query)
    login = broker_sessions.redeem_login(returned.state, actor=actor)
    account = _account(login.broker_account_id)
    if account.kind != kind:
        raise Invalid("This login was begun at another broker.", code="login_state")
    return _open(account, returned.token, actor=actor, at=at, reason=login.reason)


def _returned(kind: str, query: Mapping[str, str]) -> ReturnedLogin:
    try:
        return KINDS[kind].read_login(query)
    except DefiniteRefusal as error:
        raise Invalid(error.message, code="login_failed") from None


def log_out(broker_account_id: int, *, user: User | None, actor: Actor, at: datetime, reason: str) -> BrokerAccount:
    """Close the session here and, as well as it goes, at the broker. Raises as `broker_sessions.close_session`."""
    before = _account(broker_account_id)
    closed = broker_sessions.close_session(broker_account_id, user=user, actor=actor, at=at, reason=reason)
    try:
        broker_for(before).close_session()
    except BrokerError as error:
        # The token is forgotten here and dies at the broker by itself.
        logger.warning("broker_logout_failed", broker_account=before.name, reason=error.message)
    return closed


def keep_sessions(*, at: datetime) -> None:
    """End sessions whose day is over and, in the demo, log in again where no money is real. For a periodic task."""
    broker_sessions.expire_due_sessions(at=at)
    if not settings.DEMO:
        return
    waiting = BrokerAccount.objects.filter(kind__in=simulated_kinds())
    for account in waiting.exclude(session_state=BrokerAccount.SessionState.OPEN).order_by("pk"):
        if account.session_state == BrokerAccount.SessionState.CLOSED and account.session_opened_at is not None:
            continue  # somebody closed it on purpose
        try:
            # A second login would end the first one's session; and one that failed is not repeated at once.
            if client().set(f"broker-login:auto:{account.pk}", 1, nx=True, ex=AUTO_LOGIN_SECONDS):
                auto_login(account.pk, at=at)
        except (DomainError, redis.RedisError) as error:
            logger.warning("auto_login_failed", broker_account=account.name, reason=str(error))


def auto_login(broker_account_id: int, *, at: datetime) -> BrokerAccount:
    """Log in without a person, in the demo and without real money only.

    Raises Forbidden anywhere else, Conflict when the exchange refuses, Unavailable when it does not answer.
    """
    account = _account(broker_account_id)
    if not settings.DEMO or not rules_of(account.kind).is_simulated:
        raise Forbidden("Only the demo logs in by itself, and only where no money is real.")
    returned = _returned(account.kind, _sent_back(broker_for(account).login_url(state="auto")))
    return _open(account, returned.token, actor=SYSTEM, at=at, reason="Automatic login of the demo")


def _sent_back(login_url: str) -> dict[str, str]:
    """The query of the address that the exchange's login page redirects to."""
    try:
        answer = httpx.get(login_url, timeout=PAGE_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise Unavailable(f"The exchange's login page does not answer: {type(error).__name__}") from None
    location: str = answer.headers.get("location", "")
    if not location:
        raise Conflict("The exchange's login page did not log in by itself.")
    return dict(parse_qsl(urlsplit(location).query))


def _open(account: BrokerAccount, login_token: str, *, actor: Actor, at: datetime, reason: str) -> BrokerAccount:
    session = _exchange(account, login_token)
    return broker_sessions.record_login(
        account.pk, client_id=session.user_id, access_token=session.access_token, actor=actor, at=at, reason=reason
    )


def _exchange(account: BrokerAccount, login_token: str) -> Session:
    try:
        return broker_for(account).open_session(login_token)
    except DefiniteRefusal as error:
        raise Conflict(f"The broker refused the login: {error.message}", code="login_refused") from None
    except BrokerError as error:
        raise Unavailable(f"The broker did not complete the login: {error.message}") from None


def _account(broker_account_id: int) -> BrokerAccount:
    account = BrokerAccount.objects.filter(pk=broker_account_id).first()
    if account is None:
        raise NotFound("There is no such broker account.")
    return account
