"""The words that greet whoever started it, and a first order that fills."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from oms.demo import PEOPLE
from oms.up.embedded import Home
from oms.up.system import Addresses
from oms.up.welcome import ROLES, TRADER, FirstOrder, text

ADDRESSES = Addresses(port=8000, exchange_port=8100, stream_port=8200)


class Api:
    """Answers as the API does, with an instrument of these figures."""

    def __init__(self, **instrument: Any) -> None:
        self.instrument: dict[str, Any] = {"tickSize": 0.05, "lastPrice": 971.6, "upperCircuit": 1100} | instrument
        self.logins = 0

    def __call__(self, method: str, url: str, **options: Any) -> httpx.Response:
        request = httpx.Request(method, url)
        if url.endswith("/auth/token"):
            self.logins += 1
            assert options["json"] == TRADER
            return httpx.Response(200, json={"access": "abc"}, request=request)
        assert options["headers"] == {"Authorization": "Bearer abc"}
        found = {name: value for name, value in self.instrument.items() if value is not None}
        return httpx.Response(200, json=found, request=request)


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], FirstOrder]:
    def make(api: Any) -> FirstOrder:
        monkeypatch.setattr(httpx, "request", api)
        return FirstOrder(ADDRESSES.web)

    return make


@pytest.mark.parametrize(
    ("instrument", "price"),
    [
        ({}, "981.35"),  # 971.60 and one percent, up to the next tick
        ({"lastPrice": 100, "upperCircuit": 110}, "101"),
        ({"lastPrice": 100, "upperCircuit": 100.5}, "100.5"),  # never above the band
        ({"upperCircuit": None}, "981.35"),
        ({"lastPrice": 10.01, "tickSize": 0.01, "upperCircuit": 11}, "10.12"),
    ],
)
def test_it_is_priced_to_fill_at_once_on_the_tick_and_within_the_band(
    first: Any, instrument: dict[str, Any], price: str
) -> None:
    order = first(Api(**instrument))
    assert order.is_possible()
    assert order.price == Decimal(price)
    assert json.loads(order.body(), parse_float=Decimal)["price"] == Decimal(price)


@pytest.mark.parametrize("last", [None, 0])
def test_without_a_price_the_market_is_not_open_for_us(first: Any, last: Any) -> None:
    api = Api(lastPrice=last)
    order = first(api)
    assert not order.is_possible()
    assert not order.is_possible()
    assert api.logins == 1, "asked again and again, logged in once"


@pytest.mark.parametrize("status", [401, 404, 503])
def test_an_api_that_does_not_answer_yet_is_waited_for(first: Any, status: int) -> None:
    def away(method: str, url: str, **_: Any) -> httpx.Response:
        return httpx.Response(status, request=httpx.Request(method, url))

    assert not first(away).is_possible()

    def gone(*_: Any, **__: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert not first(gone).is_possible()


def test_the_demos_welcome_has_every_address_login_and_an_order_to_copy(first: Any, tmp_path: Path) -> None:
    order = first(Api())
    order.is_possible()
    said = text(Home(tmp_path), ADDRESSES, order)
    for address in (ADDRESSES.web, ADDRESSES.exchange, ADDRESSES.stream, str(tmp_path)):
        assert address in said
    for name in ROLES:
        assert f"{name}-demo" in said
        assert name in PEOPLE, "who is named can log in"
    copied = re.search(r"-d '(\{\"accountId.*\})'", said)
    assert copied
    assert json.loads(copied[1]) == json.loads(order.body())


def test_without_the_demo_it_says_how_the_first_person_is_made_and_no_password(tmp_path: Path) -> None:
    said = text(Home(tmp_path / "a home"), ADDRESSES, None)
    assert "createsuperuser" in said
    assert f"OMS_HOME='{tmp_path / 'a home'}'" in said, "quoted, so that it can be copied"
    assert not [name for name in ROLES if f"{name}-demo" in said]
    assert ADDRESSES.exchange not in said
