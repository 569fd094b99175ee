"""Who acts: from a request to the actor that every event of what it causes will name. For API and staff pages alike."""

import hashlib
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from rest_framework.request import Request

from compliance.api.authentication import SESSION_CLAIM
from compliance.selectors import COMPLIANCE, OPERATOR, is_in
from oms.lib.actors import Actor, ActorType
from oms.lib.api.client import client_ip
from oms.lib.clock import now

SESSION_DIGITS = 16


def actor_of(request: Request | HttpRequest, *, algo_id: str = "") -> Actor:
    """Who acts, through which door, in which login, from where.

    An order that names its algorithm is that algorithm's, sent under the user's login.
    """
    kind, source_ip = _kind(request.user, algo_id), client_ip(request)
    if isinstance(request, Request):
        return Actor(kind, str(request.user.pk), "API", session_id=_login(request), source_ip=source_ip)
    return Actor(kind, str(request.user.pk), "ADMIN", session_id=_browser_session(request), source_ip=source_ip)


def person(request: HttpRequest) -> AbstractBaseUser:
    """Who is at the screen of a staff page; the admin lets nobody else in."""
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def acting(request: HttpRequest) -> dict[str, Any]:
    """Who acts on a staff page and when, as every operator service wants it: `user`, `actor`, `at`."""
    return {"user": person(request), "actor": actor_of(request), "at": now()}


def _kind(user: Any, algo_id: str) -> ActorType:
    if is_in(user, OPERATOR):
        return ActorType.OPERATOR
    if is_in(user, COMPLIANCE):
        return ActorType.OFFICER
    return ActorType.ALGO if algo_id else ActorType.TRADER


def _login(request: Request) -> str:
    token: Any = request.auth
    return str(token.get(SESSION_CLAIM, "")) if token else ""


def _browser_session(request: HttpRequest) -> str:
    """A digest that names the session and opens nothing: its key would be as good as the login."""
    key = request.session.session_key or ""
    return hashlib.sha256(key.encode()).hexdigest()[:SESSION_DIGITS] if key else ""
