"""Logging in at the exchange: what opens a session, what ends it, and whose word is not taken."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from orders.brokers.paper.clock import IST, Clock
from orders.brokers.paper.errors import InputError, KiteError, TokenError
from orders.brokers.paper.session import App, Session, Sessions
from orders.brokers.paper.store import Store

SECRETS = {"key": "secret", "other": "secret-2"}
NOON = datetime(2026, 11, 23, 12, tzinfo=IST)


@pytest.fixture
def clock() -> Clock:
    return Clock(frozen_at=NOON)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def sessions(store: Store, clock: Clock) -> Sessions:
    sessions = Sessions(store, clock)
    for number, (key, secret) in enumerate(SECRETS.items(), start=1):
        sessions.register(App(key, secret, number))
    return sessions


def checksum(request_token: str, key: str = "key", **guess: str) -> str:
    secret = guess.get("secret", SECRETS[key])
    return sha256(f"{key}{request_token}{secret}".encode()).hexdigest()


def log_in(sessions: Sessions, user_id: str = "PX0001", key: str = "key") -> Session:
    token = sessions.request_token(key, user_id)
    return sessions.create(key, token, checksum(token, key))


def header(session: Session) -> str:
    return f"token {session.api_key}:{session.access_token}"


def test_a_login_is_known_by_its_header(sessions: Sessions) -> None:
    session = log_in(sessions)
    assert sessions.authenticate(header(session)) == session
    assert (session.user_id, session.api_key, len(session.access_token)) == ("PX0001", "key", 32)


@pytest.mark.parametrize(
    ("given", "error", "code"),
    [
        (None, InputError, 400),
        ("", InputError, 400),
        ("Bearer key:x", InputError, 400),
        ("token key", InputError, 400),
        ("token :x", InputError, 400),
        ("token key:", InputError, 400),
        ("token key:stranger", TokenError, 403),
    ],
)
def test_a_header_that_says_nothing_is_malformed_and_a_strange_token_is_refused(
    sessions: Sessions, given: str | None, error: type[KiteError], code: int
) -> None:
    with pytest.raises(error) as refusal:
        sessions.authenticate(given)
    assert refusal.value.code == code


def test_a_token_is_of_one_app(sessions: Sessions) -> None:
    session = log_in(sessions)
    with pytest.raises(TokenError):
        sessions.authenticate(f"token other:{session.access_token}")


def test_what_is_wrong_with_a_login(sessions: Sessions, clock: Clock) -> None:
    token = sessions.request_token("key", "PX0001")
    for key, request, proof in (
        ("nobody", token, checksum(token)),
        ("key", token, checksum(token, secret="guess")),
        ("key", token, "ünicode"),
        ("key", "made-up", checksum("made-up")),
        ("other", token, checksum(token, "other")),  # a token of another app's login
    ):
        with pytest.raises(TokenError):
            sessions.create(key, request, proof)
    clock.frozen_at = NOON + timedelta(minutes=5, seconds=1)
    with pytest.raises(TokenError, match="expired"):
        sessions.create("key", token, checksum(token))
    with pytest.raises(InputError):
        sessions.app("nobody")


def test_a_request_token_is_used_once_but_a_failed_try_does_not_use_it(sessions: Sessions) -> None:
    token = sessions.request_token("key", "PX0001")
    with pytest.raises(TokenError):
        sessions.create("key", token, checksum(token, secret="guess"))
    sessions.create("key", token, checksum(token))
    with pytest.raises(TokenError):
        sessions.create("key", token, checksum(token))


def test_a_second_login_ends_the_first_of_that_client_and_app_only(sessions: Sessions) -> None:
    first, others = log_in(sessions), [log_in(sessions, "PX0002"), log_in(sessions, key="other")]
    second = log_in(sessions)
    with pytest.raises(TokenError):
        sessions.authenticate(header(first))
    for session in (second, *others):
        assert sessions.authenticate(header(session)) == session


@pytest.mark.parametrize(
    ("logged_in", "ends"),
    [
        (datetime(2026, 11, 23, 12, tzinfo=IST), datetime(2026, 11, 24, 6, tzinfo=IST)),
        (datetime(2026, 11, 23, 6, tzinfo=IST), datetime(2026, 11, 24, 6, tzinfo=IST)),
        (datetime(2026, 11, 23, 5, 59, tzinfo=IST), datetime(2026, 11, 23, 6, tzinfo=IST)),
        (datetime(2026, 12, 31, 23, 59, tzinfo=IST), datetime(2027, 1, 1, 6, tzinfo=IST)),
    ],
)
def test_a_session_ends_at_the_next_six_in_the_morning(
    sessions: Sessions, clock: Clock, logged_in: datetime, ends: datetime
) -> None:
    clock.frozen_at = logged_in
    session = log_in(sessions)
    clock.frozen_at = ends - timedelta(seconds=1)
    assert sessions.authenticate(header(session)) == session
    clock.frozen_at = ends
    for _ in range(2):
        with pytest.raises(TokenError):
            sessions.authenticate(header(session))


def test_sessions_and_apps_outlive_the_process_and_request_tokens_do_not(
    sessions: Sessions, store: Store, clock: Clock
) -> None:
    session, ended = log_in(sessions), log_in(sessions, "PX0002")
    sessions.end(ended.access_token)
    pending = sessions.request_token("key", "PX0001")
    again = Sessions(store, clock)
    assert again.authenticate(header(session)) == session
    assert again.app("other").api_secret == "secret-2"
    with pytest.raises(TokenError):
        again.authenticate(header(ended))
    with pytest.raises(TokenError):
        again.create("key", pending, checksum(pending))


def test_everybody_can_be_logged_out(sessions: Sessions, store: Store, clock: Clock) -> None:
    open_sessions = [log_in(sessions), log_in(sessions, "PX0002")]
    sessions.end_all()
    sessions.end("unknown")  # none of our business
    for place in (sessions, Sessions(store, clock)):
        for session in open_sessions:
            with pytest.raises(TokenError):
                place.authenticate(header(session))
