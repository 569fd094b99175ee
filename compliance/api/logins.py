"""Beginning a login and keeping it: the tokens that people get. What ends one is in `authentication`."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken

from compliance.api.authentication import SESSION_CLAIM, user_of


@dataclass(frozen=True, slots=True)
class Login:
    """A pair of tokens. `expires_in` is the life of `access` in seconds."""

    access: str
    refresh: str
    expires_in: int


def log_in(user: User) -> Login:
    """Begin a login: a refresh token that is on record, and an access token that names it."""
    refresh = RefreshToken.for_user(user)
    refresh[SESSION_CLAIM] = refresh["jti"]
    return _login(refresh)


def renew(refresh: RefreshToken) -> Login:
    """A new access token for a login that has not ended. Raises AuthenticationFailed."""
    user_of(refresh)
    return _login(refresh)


def _login(refresh: RefreshToken) -> Login:
    return Login(str(refresh.access_token), str(refresh), int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds()))
