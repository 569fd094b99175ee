"""The same request twice is carried out once, whoever repeats it and however fast."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import connection

from ledger.models import CapitalEntry, Instrument
from oms import demo
from oms.lib import clock
from oms.tests.api_cast import ORDERS, Cast, Client, client_of, limit_buy
from orders.models import Order


def test_the_same_key_and_body_give_the_first_answer_again(as_trader: Client) -> None:
    first = as_trader.send("POST", ORDERS, limit_buy(), idempotency_key="k-1")
    again = as_trader.send("POST", ORDERS, limit_buy(), idempotency_key="k-1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Order.objects.count() == 1


def test_a_refusal_is_replayed_as_well(as_trader: Client) -> None:
    first = as_trader.send("POST", ORDERS, limit_buy(quantity=100_000), idempotency_key="k-1")
    again = as_trader.send("POST", ORDERS, limit_buy(quantity=100_000), idempotency_key="k-1")

    assert (again.status_code, again["Content-Type"]) == (422, "application/problem+json")
    assert again.content == first.content
    assert Order.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(as_trader: Client) -> None:
    as_trader.send("POST", ORDERS, limit_buy(), idempotency_key="k-1")
    answer = as_trader.send("POST", ORDERS, limit_buy(quantity=11), idempotency_key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Order.objects.count() == 1


def test_a_client_order_id_serves_as_key(as_trader: Client) -> None:
    first = as_trader.send("POST", ORDERS, limit_buy(clientOrderId="mine"))
    again = as_trader.send("POST", ORDERS, limit_buy(clientOrderId="mine"))
    other = as_trader.send("POST", ORDERS, limit_buy(clientOrderId="mine", quantity=11))

    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert other.status_code == 422
    assert Order.objects.count() == 1


def test_a_client_order_id_is_the_accounts(cast: Cast, as_operator: Client, as_trader: Client) -> None:
    as_trader.send("POST", ORDERS, limit_buy(clientOrderId="mine"))
    answer = as_operator.send("POST", ORDERS, limit_buy(clientOrderId="mine"))
    assert (answer.status_code, answer.json()["code"]) == (409, "client_order_id_used")
    assert Order.objects.count() == 1


def test_a_key_is_the_senders_own(cast: Cast, as_trader: Client, as_operator: Client) -> None:
    as_trader.send("POST", ORDERS, limit_buy(), idempotency_key="k-1")
    assert "Idempotent-Replayed" not in as_operator.send("POST", ORDERS, limit_buy(), idempotency_key="k-1")
    assert Order.objects.count() == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 81, "ключ"])
def test_a_key_that_cannot_be_one_is_refused(as_trader: Client, key: str) -> None:
    answer = as_trader.send("POST", ORDERS, limit_buy(), idempotency_key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize(
    ("headers", "reference"), [({"idempotency_key": "one-of-forty"}, {}), ({}, {"clientOrderId": "one-of-forty"})]
)
def test_forty_concurrent_equal_posts_make_one_order(
    committed_db: None, headers: dict[str, str], reference: dict[str, str]
) -> None:
    demo.load()
    Instrument.objects.create(exchange="NSE", symbol="SBIN", segment="NSE", token=1, updated_at=clock.now())
    trader = User.objects.get(username="trader")
    client_token = client_of(trader)._credentials["HTTP_AUTHORIZATION"]

    def post(_: int) -> tuple[int, bytes]:
        client = Client()
        client.credentials(HTTP_AUTHORIZATION=client_token)
        try:
            answer = client.send("POST", ORDERS, limit_buy(**reference), **headers)
        finally:
            connection.close()
        return answer.status_code, answer.content

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(post, range(40)))

    assert len(answers) == 1
    assert answers.pop()[0] == 201
    assert Order.objects.count() == 1
    assert CapitalEntry.objects.filter(kind="RESERVE").count() == 1
