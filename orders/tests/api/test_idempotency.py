"""The same request twice is carried out once, whoever repeats it and however fast."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from ledger.models import CapitalEntry
from oms.tests.api_cast import ORDERS, Cast, Client, client_of, limit_buy, make_cast
from orders.models import Order

Body = Callable[..., dict[str, Any]]


def test_the_same_key_and_body_give_the_first_answer_again(trader: Client, body: Body) -> None:
    first = trader.send("POST", ORDERS, body(), idempotency_key="k-1")
    again = trader.send("POST", ORDERS, body(), idempotency_key="k-1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert Order.objects.count() == 1


def test_a_refusal_is_replayed_as_well(trader: Client, body: Body) -> None:
    first = trader.send("POST", ORDERS, body(quantity=100_000), idempotency_key="k-1")
    again = trader.send("POST", ORDERS, body(quantity=100_000), idempotency_key="k-1")

    assert (again.status_code, again["Content-Type"]) == (422, "application/problem+json")
    assert again.content == first.content
    assert Order.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(trader: Client, body: Body) -> None:
    trader.send("POST", ORDERS, body(), idempotency_key="k-1")
    answer = trader.send("POST", ORDERS, body(quantity=11), idempotency_key="k-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert Order.objects.count() == 1


def test_a_client_order_id_serves_as_key(trader: Client, body: Body) -> None:
    first = trader.send("POST", ORDERS, body(clientOrderId="mine"))
    again = trader.send("POST", ORDERS, body(clientOrderId="mine"))
    other = trader.send("POST", ORDERS, body(clientOrderId="mine", quantity=11))

    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert other.status_code == 422
    assert Order.objects.count() == 1


def test_a_client_order_id_is_the_accounts(cast: Cast, operator: Client, trader: Client, body: Body) -> None:
    trader.send("POST", ORDERS, body(clientOrderId="mine"))
    answer = operator.send("POST", ORDERS, body(clientOrderId="mine"))
    assert (answer.status_code, answer.json()["code"]) == (409, "client_order_id_used")
    assert Order.objects.count() == 1


def test_a_key_is_the_senders_own(cast: Cast, trader: Client, operator: Client, body: Body) -> None:
    trader.send("POST", ORDERS, body(), idempotency_key="k-1")
    assert "Idempotent-Replayed" not in operator.send("POST", ORDERS, body(), idempotency_key="k-1")
    assert Order.objects.count() == 2


@pytest.mark.parametrize("key", ["", "a b", "x" * 81, "ключ"])
def test_a_key_that_cannot_be_one_is_refused(trader: Client, body: Body, key: str) -> None:
    answer = trader.send("POST", ORDERS, body(), idempotency_key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize(
    ("headers", "reference"), [({"idempotency_key": "one-of-forty"}, {}), ({}, {"clientOrderId": "one-of-forty"})]
)
def test_forty_concurrent_equal_posts_make_one_order(
    committed_db: None, headers: dict[str, str], reference: dict[str, str]
) -> None:
    cast = make_cast()
    client_token = client_of(cast.trader)._credentials["HTTP_AUTHORIZATION"]

    def post(_: int) -> tuple[int, bytes]:
        client = Client()
        client.credentials(HTTP_AUTHORIZATION=client_token)
        try:
            answer = client.send("POST", ORDERS, limit_buy(cast, **reference), **headers)
        finally:
            connection.close()
        return answer.status_code, answer.content

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(post, range(40)))

    assert len(answers) == 1
    assert answers.pop()[0] == 201
    assert Order.objects.count() == 1
    assert CapitalEntry.objects.filter(kind="RESERVE").count() == 1
