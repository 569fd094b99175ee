"""The capital ledger over HTTP."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ledger.models import CapitalAccount, CapitalEntry
from ledger.selectors import trial_balance
from oms.lib.redis import client as redis_client
from oms.tests.api_cast import CAPITAL, ORDERS, Cast, Client, fill, limit_buy

LEDGER = "/api/v1/capital-ledger"


@pytest.fixture
def deposit(cast: Cast) -> Callable[..., dict[str, Any]]:
    return lambda **changes: {
        "portfolioId": cast.portfolio.code, "amount": 2500.5, "reason": "cheque 42", **changes,
    }  # fmt: skip


def available(client: Client, cast: Cast) -> Any:
    return client.get(f"{LEDGER}/available/{cast.portfolio.code}").json(parse_float=Decimal)["available"]


def test_a_reservation_shows_at_once_although_the_figure_is_cached(
    cast: Cast, as_trader: Client, django_capture_on_commit_callbacks: Any
) -> None:
    assert available(as_trader, cast) == CAPITAL
    assert redis_client().get(f"capital:available:{cast.portfolio.code}") is not None
    with django_capture_on_commit_callbacks(execute=True):
        as_trader.send("POST", ORDERS, limit_buy())
    free = CapitalAccount.objects.get(pk=cast.portfolio.pk).free
    assert available(as_trader, cast) == free < CAPITAL - Decimal("9999.50")


def test_the_summary_adds_up_after_a_fill(cast: Cast, as_trader: Client, placed: dict[str, Any]) -> None:
    fill(placed["id"], (4, "999.90"))
    summary = as_trader.get(f"{LEDGER}/summary/{cast.portfolio.code}").json(parse_float=Decimal)

    assert summary["total"] == summary["free"] + summary["reserved"] + summary["allocated"]
    assert summary["total"] == (
        summary["deposits"] - summary["withdrawals"] + summary["realisedPnl"] - summary["charges"]
        + summary["adjustments"]
    )  # fmt: skip
    assert summary["allocated"] == Decimal("3999.6")
    assert (summary["deposits"], summary["openReservations"]) == (CAPITAL, 1)
    assert summary["charges"] > 0
    assert trial_balance() == []


def test_the_history_is_walked_newest_first(cast: Cast, as_trader: Client, placed: dict[str, Any]) -> None:
    fill(placed["id"], (4, "999.90"), (6, "999.95"))
    path, walked, query = f"{LEDGER}/history/{cast.portfolio.code}", [], {"limit": 2}
    while True:
        part = as_trader.get(path, query).json(parse_float=Decimal)
        walked += part["content"]
        if "nextCursor" not in part:
            break
        query = {"limit": 2, "cursor": part["nextCursor"]}
    assert [entry["seq"] for entry in walked] == list(range(len(walked), 0, -1))
    newest = CapitalAccount.objects.get(pk=cast.portfolio.pk)
    assert walked[0]["freeAfter"] == newest.free
    assert {"DEPOSIT", "RESERVE", "ALLOCATE", "CHARGE"} <= {entry["kind"] for entry in walked}
    assert {entry.get("orderId") for entry in walked[:-1]} == {placed["id"]}


def test_a_deposit_is_booked_once_per_key(
    cast: Cast, as_operator: Client, deposit: Callable[..., Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        first = as_operator.send("POST", f"{LEDGER}/deposit", deposit(), idempotency_key="d-1")
        again = as_operator.send("POST", f"{LEDGER}/deposit", deposit(), idempotency_key="d-1")
    other = as_operator.send("POST", f"{LEDGER}/deposit", deposit(amount=1), idempotency_key="d-1")

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    entry = first.json(parse_float=Decimal)
    assert (entry["kind"], entry["debit"], entry["credit"]) == ("DEPOSIT", "OUTSIDE", "FREE")
    assert (entry["amount"], entry["reason"]) == (Decimal("2500.5"), "cheque 42")
    assert available(as_operator, cast) == CAPITAL + Decimal("2500.5")
    assert trial_balance() == []


def test_a_deposit_needs_a_key(as_operator: Client, deposit: Callable[..., Any]) -> None:
    answer = as_operator.send("POST", f"{LEDGER}/deposit", deposit())
    assert (answer.status_code, answer.json()["code"]) == (428, "idempotency_key_required")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"amount": 0}, "/amount"),
        ({"amount": "0.001"}, "/amount"),
        ({"amount": -1}, "/amount"),
        ({"amount": "1e5"}, "/amount"),
        ({"reason": ""}, "/reason"),
        ({"currency": "USD"}, "/currency"),
    ],
)
def test_a_malformed_deposit_names_the_field(
    as_operator: Client, deposit: Callable[..., Any], changes: dict[str, Any], pointer: str
) -> None:
    answer = as_operator.send("POST", f"{LEDGER}/deposit", deposit(**changes), idempotency_key="d-1")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert CapitalEntry.objects.filter(kind="DEPOSIT").count() == 2  # the cast's own


def test_a_large_deposit_is_not_for_one_person(as_operator: Client, deposit: Callable[..., Any], settings: Any) -> None:
    settings.DEPOSIT_LIMIT = Decimal(1000)
    answer = as_operator.send("POST", f"{LEDGER}/deposit", deposit(), idempotency_key="d-1")
    assert (answer.status_code, answer.json()["code"]) == (403, "deposit_limit")


@pytest.mark.parametrize("code", ["NOPE", "%00", "a%2Fb", "x" * 41])
def test_no_such_portfolio(as_trader: Client, code: str) -> None:
    for part in ("available", "summary", "history"):
        answer = as_trader.get(f"{LEDGER}/{part}/{code}")
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
