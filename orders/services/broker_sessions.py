"""Whether the door to a broker is open: beginning and ending logins, and what that leaves in the records.

The calls to the broker themselves are `orders.gateway.logins`'s: services call no broker. A login travels
through the browser as a signed state that works once, for the person and session that asked for it.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

import redis
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db import transaction

from compliance import audit
from compliance.audit import EventType
from compliance.selectors import OPERATOR, require
from compliance.services.alerts import raise_alert, resolve_alert
from oms.lib.actors import SYSTEM, Actor
from oms.lib.clock import IST
from oms.lib.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from oms.lib.hints import Hint, hint
from oms.lib.redis import client
from oms.lib.users import User
from oms.lib.validation import Faults
from orders.broker_rules import rules_of
from orders.models import BrokerAccount

LOGIN_MINUTES = 10
SESSION_FIELDS = ("access_token", "session_state", "session_opened_at", "session_expires_at", "session_message")

_signer = signing.TimestampSigner(salt="orders.broker-login")
State = BrokerAccount.SessionState


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login that somebody began: for which broker account, and why."""

    broker_account_id: int
    user_id: str
    session_id: str
    reason: str


def start_login(broker_account_id: int, *, user: AbstractBaseUser, actor: Actor, reason: str) -> str:
    """Begin a login and return its state, good for one use within LOGIN_MINUTES by this user in this session.

    Raises Forbidden for anybody but operators, NotFound, Invalid without a reason, Unavailable without Redis.
    """
    require(user, OPERATOR, what="log in at a broker")
    faults = Faults()
    why = faults.reason(reason)
    faults.refuse("The login was not begun.")
    if not BrokerAccount.objects.filter(pk=broker_account_id).exists():
        raise NotFound("There is no such broker account.")
    nonce = token_urlsafe(18)
    pending = json.dumps([broker_account_id, str(user.pk), actor.session_id, why])
    try:
        client().set(_nonce_key(nonce), pending, ex=LOGIN_MINUTES * 60)
    except redis.RedisError:
        raise Unavailable("Redis is away: the login cannot be remembered. Try again in a moment.") from None
    return _signer.sign(nonce)


def redeem_login(state: str, *, actor: Actor) -> PendingLogin:
    """The login that `state` stands for; it cannot be redeemed again.

    Raises Invalid when it was not ours, is too old or was used, Forbidden for another user or session.
    """
    try:
        nonce = _signer.unsign(state, max_age=timedelta(minutes=LOGIN_MINUTES))
    except signing.BadSignature:
        raise Invalid("This login was not begun here, or too long ago. Begin again.", code="login_state") from None
    try:
        stored = client().getdel(_nonce_key(nonce))
    except redis.RedisError:
        raise Unavailable("Redis is away: the login cannot be looked up. Begin again in a moment.") from None
    if not stored:
        raise Invalid("This login was completed already, or too long ago. Begin again.", code="login_state")
    login = PendingLogin(*json.loads(stored))
    if (login.user_id, login.session_id) != (actor.id, actor.session_id):
        raise Forbidden("This login was begun by another user or in another browser session.")
    return login


@transaction.atomic(durable=True)
def record_login(
    broker_account_id: int, *, client_id: str, access_token: str, actor: Actor, at: datetime, reason: str
) -> BrokerAccount:
    """Store the token of a completed login and open the session until the broker's next hour of expiry.

    Raises Conflict when another client than the account's own logged in, NotFound.
    """
    account = _locked(broker_account_id)
    if client_id != account.client_id:
        raise Conflict(
            f"{client_id} logged in, but {account.name} belongs to {account.client_id}. Log out there and begin again.",
            code="wrong_client",
        )
    account.access_token, account.session_state = access_token, State.OPEN
    rules = rules_of(account.kind)
    account.session_opened_at, account.session_expires_at = at, rules.next_expiry(at)
    account.session_message = ""
    if rules.may_be_flushed(at):
        account.session_message = (
            f"Opened before {rules.flushed_until:%H:%M} IST: the broker may end it at {rules.flushed_until:%H:%M}."
        )
    account.save(update_fields=SESSION_FIELDS)
    _record(account, EventType.BROKER_SESSION_OPENED, actor=actor, at=at, reason=reason)
    resolve_alert(_alert_key(account), reason="Logged in again.", at=at)
    hint(Hint.SESSION, account.pk)
    return account


@transaction.atomic(durable=True)
def mark_expired(broker_account_id: int, *, message: str, at: datetime) -> bool:
    """Pause the account until somebody logs in again: state, alert, event. True when this call did it.

    `at` is when the refused call began: a session opened since then is another one and stays open.
    """
    account = _locked(broker_account_id)
    if account.session_state != State.OPEN or (account.session_opened_at and account.session_opened_at > at):
        return False
    account.session_state, account.access_token, account.session_message = State.EXPIRED, "", message[:300]
    account.save(update_fields=SESSION_FIELDS)
    _record(account, EventType.BROKER_SESSION_CLOSED, actor=SYSTEM, at=at, reason=message)
    raise_alert(
        key=_alert_key(account),
        kind="BROKER_SESSION",
        severity="CRITICAL",
        summary=f"{account.name}: the broker session is over, orders wait until somebody logs in again",
        account_id=account.default_account_id,
        details={"broker_account_id": account.pk, "message": message},
        at=at,
    )
    return True


def expire_due_sessions(*, at: datetime) -> list[int]:
    """End the sessions whose day is over; the ids of their broker accounts."""
    due = BrokerAccount.objects.filter(session_state=State.OPEN, session_expires_at__lte=at)
    return [
        pk
        for pk, ended_at in due.order_by("pk").values_list("pk", "session_expires_at")
        if ended_at and mark_expired(pk, message=f"Its day ended at {ended_at.astimezone(IST):%H:%M} IST.", at=at)
    ]


@transaction.atomic(durable=True)
def close_session(
    broker_account_id: int, *, user: User | None, actor: Actor, at: datetime, reason: str
) -> BrokerAccount:
    """Forget the token of an open session, on purpose.

    Raises Forbidden for anybody but operators, Invalid without a reason, NotFound, Conflict when none is open.
    """
    require(user, OPERATOR, what="log out at a broker")
    faults = Faults()
    why = faults.reason(reason)
    faults.refuse("The session stays open.")
    account = _locked(broker_account_id)
    if account.session_state != State.OPEN:
        raise Conflict("There is no open session to close.")
    account.session_state, account.access_token = State.CLOSED, ""
    account.session_message = f"Closed: {why}"[:300]
    account.save(update_fields=SESSION_FIELDS)
    _record(account, EventType.BROKER_SESSION_CLOSED, actor=actor, at=at, reason=why)
    return account


def _locked(broker_account_id: int) -> BrokerAccount:
    # No key changes: a stronger lock would stop the commits of orders that refer to these rows, in a circle.
    rows = BrokerAccount.objects.select_related("default_account").select_for_update(
        of=("self", "default_account"), no_key=True
    )
    account = rows.filter(pk=broker_account_id).first()
    if account is None:
        raise NotFound("There is no such broker account.")
    return account


def _record(account: BrokerAccount, event: EventType, *, actor: Actor, at: datetime, reason: str) -> None:
    data = {
        "broker_account": account.name,
        "client_id": account.client_id,
        "session_state": account.session_state,
        "expires_at": account.session_expires_at,
        "reason": reason,
    }
    audit.record_on(account.default_account, event, data, actor=actor, at=at)


def _alert_key(account: BrokerAccount) -> str:
    return f"broker-session:{account.pk}"


def _nonce_key(nonce: str) -> str:
    return f"broker-login:{nonce}"
