"""Apps, logins and access tokens.

Belongs here: who may call, and the exchange of a request token for an access token. Which route
needs a session is decided in `api`.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, time, timedelta
from hashlib import sha256
from hmac import compare_digest

from .clock import Clock
from .errors import InputError, TokenError
from .identifiers import token
from .store import Store

REQUEST_TOKEN_LIFE = timedelta(minutes=5)
FLUSH = time(6, 0)  # Kite: tokens die at 6 AM of the next day
INCORRECT = "Incorrect `api_key` or `access_token`."
INVALID = "Invalid `api_key` or `access_token`."


@dataclass(slots=True)
class App:
    """A client program registered with the exchange."""

    api_key: str
    api_secret: str
    app_id: int
    redirect_url: str = ""
    postback_url: str = ""


@dataclass(slots=True)
class Session:
    """A client's login through one app. Times are ISO texts in IST."""

    access_token: str
    public_token: str
    api_key: str
    user_id: str
    login_time: str
    expires_at: str


class Sessions:
    """Request tokens live in memory and for five minutes; apps and sessions survive a restart."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._requests: dict[str, tuple[str, str, datetime]] = {}
        self.apps = {app["api_key"]: App(**app) for app in store.facts("app:")}
        self._active = {s["access_token"]: Session(**s) for s in store.facts("session:")}

    def register(self, app: App) -> None:
        """Add or replace an app."""
        self._store.put(f"app:{app.api_key}", asdict(app))
        self.apps[app.api_key] = app

    def app(self, api_key: str) -> App:
        """The app of a key. Raises InputError."""
        if api_key not in self.apps:
            raise InputError("Invalid `api_key`.")
        return self.apps[api_key]

    def request_token(self, api_key: str, user_id: str) -> str:
        """A token that proves a login, to be used once."""
        fresh = token()
        self._requests[fresh] = (api_key, user_id, self._clock.now() + REQUEST_TOKEN_LIFE)
        return fresh

    def create(self, api_key: str, request_token: str, checksum: str) -> Session:
        """A session for a request token; ends the client's earlier one with this app.

        `checksum` is sha256(api_key + request_token + api_secret), hexadecimal. Raises TokenError.
        """
        app = self.apps.get(api_key)
        if app is None:
            raise TokenError(INCORRECT)
        expected = sha256(f"{api_key}{request_token}{app.api_secret}".encode()).hexdigest()
        if not compare_digest(expected.encode(), checksum.encode()):
            raise TokenError("Invalid `checksum`.")
        issued_for, user_id, until = self._requests.get(request_token, ("", "", None))
        if until is None or until < self._clock.now() or issued_for != api_key:
            raise TokenError("Token is invalid or has expired.")
        del self._requests[request_token]
        for other in list(self._active.values()):
            if (other.api_key, other.user_id) == (api_key, user_id):
                self.end(other.access_token)
        now = self._clock.now()
        midnight = datetime.combine(now.date(), time(), now.tzinfo)
        days = 0 if now.time() < FLUSH else 1
        expires = midnight + timedelta(days=days, hours=FLUSH.hour)
        session = Session(token(), token(), api_key, user_id, now.isoformat(), expires.isoformat())
        self._store.put(f"session:{session.access_token}", asdict(session))
        self._active[session.access_token] = session
        return session

    def end(self, access_token: str) -> None:
        """Log out; an unknown token is none of our business."""
        self._active.pop(access_token, None)
        self._store.drop(f"session:{access_token}")

    def end_all(self) -> None:
        """Log everybody out."""
        for access_token in list(self._active):
            self.end(access_token)

    def authenticate(self, header: str | None) -> Session:
        """The session of an `Authorization: token api_key:access_token` header.

        Raises InputError (400) without one, TokenError (403) for one that is not alive.
        """
        scheme, _, pair = (header or "").partition(" ")
        api_key, _, access_token = pair.partition(":")
        if scheme != "token" or not api_key or not access_token:
            raise InputError(INVALID)
        return self.check(api_key, access_token)

    def check(self, api_key: str, access_token: str) -> Session:
        """The session of a pair. Raises TokenError (403)."""
        session = self._active.get(access_token)
        if session is None or session.api_key != api_key:
            raise TokenError(INCORRECT)
        if datetime.fromisoformat(session.expires_at) <= self._clock.now():
            self.end(access_token)
            raise TokenError(INCORRECT)
        return session
