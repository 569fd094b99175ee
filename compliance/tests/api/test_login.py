"""Logging in to the API and what ends a login."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oms.lib import clock
from oms.tests.api_cast import Cast, Client

TOKEN, REFRESH, LOGOUT = "/api/v1/auth/token", "/api/v1/auth/token/refresh", "/api/v1/auth/logout"
PASSWORD = "correct horse battery"


@pytest.fixture
def person(cast: Cast) -> User:
    cast.trader.set_password(PASSWORD)
    cast.trader.save()
    return cast.trader


def log_in(client: Client, password: str = PASSWORD, **headers: str) -> Any:
    return client.send("POST", TOKEN, {"username": "trader", "password": password}, **headers)


def is_let_in(token: str) -> bool:
    answer = Client().get("/api/v1/accounts", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert answer.status_code in {200, 401}
    return bool(answer.status_code == 200)


def test_a_login_gives_tokens_that_open_the_api(person: User) -> None:
    answer = log_in(Client())
    document = answer.json()
    assert answer.status_code == 200
    assert document["tokenType"] == "Bearer"
    assert 15 * 60 <= document["expiresIn"] <= 60 * 60
    assert is_let_in(document["access"])
    assert not is_let_in(document["refresh"])  # a refresh token is no access token
    assert not answer.cookies  # the API knows no browser session
    person.refresh_from_db()
    assert person.last_login is not None


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", "Bearer a b", "Basic dHJhZGVy"])
def test_without_a_good_token_there_is_a_challenge(cast: Cast, header: str) -> None:
    answer = Client().get("/api/v1/accounts", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="oms"'
    assert answer["Content-Type"] == "application/problem+json"


def test_a_wrong_password_and_an_unknown_name_look_alike(person: User) -> None:
    wrong = log_in(Client(), "wrong")
    unknown = Client().send("POST", TOKEN, {"username": "nobody", "password": "wrong"})
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.json() == unknown.json()


def test_an_access_token_dies_and_is_renewed(person: User) -> None:
    tokens = log_in(Client()).json()
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False):
        assert not is_let_in(tokens["access"])
        renewed = Client().send("POST", REFRESH, {"refresh": tokens["refresh"]})
        assert renewed.status_code == 200
        assert is_let_in(renewed.json()["access"])
    with time_machine.travel(clock.now() + timedelta(hours=13), tick=False):
        assert Client().send("POST", REFRESH, {"refresh": tokens["refresh"]}).status_code == 401


def test_logging_out_ends_every_token_of_that_login_at_once(person: User) -> None:
    tokens, other = log_in(Client()).json(), log_in(Client()).json()
    renewed = Client().send("POST", REFRESH, {"refresh": tokens["refresh"]}).json()

    assert Client().send("POST", LOGOUT, {"refresh": tokens["refresh"]}).status_code == 204

    assert not is_let_in(tokens["access"])
    assert not is_let_in(renewed["access"])
    assert Client().send("POST", REFRESH, {"refresh": tokens["refresh"]}).status_code == 401
    assert is_let_in(other["access"])  # another login of the same person


def test_a_new_password_ends_all_logins(person: User) -> None:
    tokens = log_in(Client()).json()
    person.set_password("something else")
    person.save()
    assert not is_let_in(tokens["access"])
    assert Client().send("POST", REFRESH, {"refresh": tokens["refresh"]}).status_code == 401


def test_a_deactivated_or_deleted_user_is_out_at_once(person: User) -> None:
    tokens = log_in(Client()).json()
    person.is_active = False
    person.save()
    assert not is_let_in(tokens["access"])
    assert Client().send("POST", REFRESH, {"refresh": tokens["refresh"]}).status_code == 401
    assert log_in(Client()).status_code == 401


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "another"}])
def test_what_another_process_withdraws_is_withdrawn_here_within_five_seconds(
    person: User, change: dict[str, Any]
) -> None:
    with time_machine.travel(clock.now(), tick=False) as time:
        tokens = log_in(Client()).json()
        assert is_let_in(tokens["access"])
        User.objects.filter(pk=person.pk).update(**change)  # tells nobody in this process
        assert is_let_in(tokens["access"])
        time.shift(5)
        assert not is_let_in(tokens["access"])


def test_a_token_dies_in_time_though_it_was_used_a_moment_before(person: User) -> None:
    tokens = log_in(Client()).json()
    with time_machine.travel(clock.now() + timedelta(seconds=tokens["expiresIn"] - 2), tick=False) as time:
        assert is_let_in(tokens["access"])
        time.shift(2)
        assert not is_let_in(tokens["access"])


def test_a_second_request_does_not_ask_the_database_who_it_is(
    as_trader: Client,
) -> None:
    as_trader.get("/api/v1/accounts")
    with CaptureQueriesContext(connection) as queries:
        assert as_trader.get("/api/v1/accounts").status_code == 200
    assert not [query for query in queries if "auth_user" in query["sql"].split("WHERE")[0]]


def test_a_role_that_is_taken_away_is_gone_at_once(cast: Cast, as_operator: Client) -> None:
    path = "/api/v1/capital-ledger/summary/OTHER-1"
    assert as_operator.get(path).status_code == 200
    cast.operator.groups.clear()
    assert as_operator.get(path).status_code == 404


def test_guessing_locks_out_with_the_waiting_time(person: User) -> None:
    statuses = [log_in(Client(), f"guess {n}").status_code for n in range(5)]
    locked = log_in(Client())

    assert statuses[:4] == [401] * 4
    assert locked.status_code == 429
    assert locked["Content-Type"] == "application/problem+json"
    assert locked.json()["code"] == "locked_out"
    assert 0 < int(locked["Retry-After"]) <= 15 * 60
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=False):
        assert log_in(Client()).status_code == 200


def test_a_success_forgives_earlier_failures(person: User) -> None:
    for _ in range(3):
        for n in range(3):
            assert log_in(Client(), f"guess {n}").status_code == 401
        assert log_in(Client()).status_code == 200


def test_a_stranger_elsewhere_cannot_lock_somebody_out(person: User) -> None:
    for n in range(6):
        Client().post(TOKEN, {"username": "trader", "password": f"{n}"}, format="json", REMOTE_ADDR="203.0.113.9")
    assert log_in(Client()).status_code == 200


def test_login_attempts_are_rated_by_address(person: User, settings: Any) -> None:
    settings.API_RATE_LIMITS = {**settings.API_RATE_LIMITS, "login": (2, 60)}
    assert [log_in(Client()).status_code for _ in range(3)] == [200, 200, 429]


def test_no_password_or_token_reaches_the_logs(person: User, caplog: pytest.LogCaptureFixture) -> None:
    tokens = log_in(Client()).json()
    log_in(Client(), "wrong-secret-word")
    assert caplog.records
    for secret in (PASSWORD, "wrong-secret-word", tokens["access"], tokens["refresh"]):
        assert secret not in caplog.text
