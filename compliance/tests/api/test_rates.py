"""Rate limits as a client sees them."""

from typing import Any

import pytest
import redis

from oms.lib.api import rates
from oms.tests.api_cast import Cast, Client, client_of

PATH = "/api/v1/accounts"


@pytest.fixture
def few(settings: Any) -> None:
    settings.API_RATE_LIMITS = {**settings.API_RATE_LIMITS, "default": (3, 3600)}


def test_every_answer_says_what_is_left(as_trader: Client, few: None) -> None:
    answer = as_trader.get(PATH)
    assert answer["RateLimit-Policy"] == '"default";q=3;w=3600'
    assert answer["RateLimit"].startswith('"default";r=2;t=')


def test_who_asks_too_often_is_told_when_to_come_back(as_trader: Client, few: None) -> None:
    assert [as_trader.get(PATH).status_code for _ in range(3)] == [200, 200, 200]
    refused = as_trader.get(PATH)
    assert refused.status_code == 429
    assert refused["Content-Type"] == "application/problem+json"
    assert 1190 <= int(refused["Retry-After"]) <= 1200  # one of three per hour
    assert '"default";r=0' in refused["RateLimit"]


def test_each_user_has_a_bucket_of_its_own(cast: Cast, as_trader: Client, few: None) -> None:
    for _ in range(4):
        as_trader.get(PATH)
    assert client_of(cast.outsider).get(PATH).status_code == 200


def test_a_quota_of_nought_switches_the_limit_off(as_trader: Client, settings: Any) -> None:
    settings.API_RATE_LIMITS = {**settings.API_RATE_LIMITS, "default": (0, 60)}
    answer = as_trader.get(PATH)
    assert answer.status_code == 200
    assert "RateLimit" not in answer


def test_one_round_trip_per_request(as_trader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    as_trader.get(PATH)  # loads the script
    sent = []
    original = redis.connection.AbstractConnection.send_command

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        sent.append(args[0])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(redis.connection.AbstractConnection, "send_command", counting)
    as_trader.get(PATH)
    assert sent == ["EVALSHA"]


def test_trading_goes_on_without_redis(as_trader: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(rates, "client", away)
    answer = as_trader.get(PATH)
    assert answer.status_code == 200
    assert "RateLimit" not in answer
