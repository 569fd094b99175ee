"""Who sends a request to the API: bearer tokens for people, checked against the database every few seconds.

A token names its login (`sid`, the refresh token's id). One query tells whether the user is still
active, the password still the same and the login not ended. What it told is believed for BELIEVED_FOR, and in
the process where one of these changes not a moment longer, so access ends within that time everywhere.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from compliance.selectors import remember_groups
from oms.lib.clock import now
from oms.lib.db import fetch_rows

SESSION_CLAIM = "sid"
_USER = """
SELECT u.id, u.username, u.password, u.is_active, u.is_staff, u.is_superuser,
    ARRAY(SELECT g.name FROM auth_group AS g JOIN auth_user_groups AS m ON m.group_id = g.id WHERE m.user_id = u.id),
    EXISTS (SELECT 1 FROM token_blacklist_blacklistedtoken AS b
            JOIN token_blacklist_outstandingtoken AS t ON t.id = b.token_id WHERE t.jti = %(session)s)
FROM auth_user AS u WHERE u.id = %(user)s
"""


#: How long a withdrawn access may still work in a process that did not withdraw it.
BELIEVED_FOR = timedelta(seconds=4)
#: More tokens than one process ever sees in that time.
MOST_BELIEVED = 10_000


@dataclass(frozen=True, slots=True)
class _Believed:
    """Whose token it is, and until when nobody needs to ask again."""

    user: User
    token: Token
    until: datetime


#: By the hash of the token, which is not kept itself.
_believed: dict[bytes, _Believed] = {}


class BearerAuthentication(JWTAuthentication):
    """`Authorization: Bearer <access token>`."""

    www_authenticate_realm = "oms"

    def authenticate(self, request: Request) -> tuple[User, Token] | None:  # type: ignore[override]  # as the stubs
        header = self.get_header(request)
        raw_token = None if header is None else self.get_raw_token(header)
        if raw_token is None:
            return None
        key, at = sha256(raw_token).digest(), now()
        believed = _believed.get(key)
        if believed is None or believed.until <= at:
            token = self.get_validated_token(raw_token)
            dies_at = datetime.fromtimestamp(token["exp"], UTC)
            believed = _Believed(user_of(token), token, min(at + BELIEVED_FOR, dies_at))
            if len(_believed) >= MOST_BELIEVED:
                _believed.clear()
            _believed[key] = believed
        return believed.user, believed.token

    def get_validated_token(self, raw_token: bytes) -> Token:
        try:
            return super().get_validated_token(raw_token)
        except InvalidToken:
            raise AuthenticationFailed("The access token is not valid or has expired.", code="invalid_token") from None

    def get_user(self, validated_token: Token) -> Any:
        return user_of(validated_token)


@receiver((post_save, post_delete), sender=User)
@receiver(m2m_changed, sender=User.groups.through)
@receiver(post_save, sender=BlacklistedToken)
def _ask_again(**_signal: Any) -> None:
    """Somebody's password, activity or groups changed in this process, or a login ended.

    Once more after the commit: who is asked for in between is still found as before.
    """
    _believed.clear()
    transaction.on_commit(_believed.clear, robust=True)


def user_of(token: Token) -> User:
    """The user of a valid token, with the groups already read.

    Raises AuthenticationFailed when the user is gone or inactive, has a new password, or has logged out.
    """
    session, user_id = token.get(SESSION_CLAIM), token.get(api_settings.USER_ID_CLAIM)
    rows = fetch_rows(_USER, {"user": int(user_id), "session": session}) if session and user_id else []
    if not rows:
        raise AuthenticationFailed("The access token is not valid or has expired.", code="invalid_token")
    pk, username, password, is_active, is_staff, is_superuser, groups, has_ended = rows[0]
    if not is_active:
        raise AuthenticationFailed("This user is not active.", code="user_inactive")
    if has_ended or token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(password):
        raise AuthenticationFailed("This login has ended; log in again.", code="login_ended")
    user = User(
        id=pk, username=username, password=password, is_active=True, is_staff=is_staff, is_superuser=is_superuser
    )
    user._state.adding, user._state.db = False, "default"
    remember_groups(user, groups)
    return user


class BearerScheme(OpenApiAuthenticationExtension):
    """How the API's own description speaks of it."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
