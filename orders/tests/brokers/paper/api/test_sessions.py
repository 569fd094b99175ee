"""Logging in over the exchange's routes: the redirect, the token for a token, the profile, and the end."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orders.tests.brokers.paper.api.client import Client, Door, logged_in, request_token, session_form
from orders.tests.brokers.paper.engine import Engine

LOGIN: dict[str, Any] = {"v": 3, "api_key": "paper", "user_id": "PX0001"}


def test_the_login_page_sends_one_back_with_a_token_and_what_one_brought(door: Door) -> None:
    answer = door.get("/connect/login", params=LOGIN | {"redirect_params": "state=abc"})
    target = urlsplit(answer.headers["location"])
    assert (answer.status_code, f"{target.scheme}://{target.netloc}{target.path}") == (302, "http://127.0.0.1:9/back")
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    assert (query["status"], query["action"], query["state"]) == ("success", "login", "abc")
    assert len(query["request_token"]) == 32


@pytest.mark.parametrize("wrong", [{"api_key": "nobody"}, {"api_key": ""}, {"user_id": "GHOST"}])
def test_a_link_that_leads_nowhere_says_so_to_a_person(door: Door, wrong: dict[str, str]) -> None:
    answer = door.get("/connect/login", params=LOGIN | wrong)
    assert answer.status_code == 400
    assert "This link does not work" in answer.text


def test_an_app_without_an_address_is_shown_its_token(door: Door, engine: Engine) -> None:
    engine.services.sessions.apps["paper"].redirect_url = ""
    answer = door.get("/connect/login", params=LOGIN)
    assert answer.status_code == 200
    assert "You are logged in" in answer.text


@pytest.mark.parametrize("name", ["api_key", "request_token", "checksum"])
def test_what_a_session_needs_is_missed_by_name(door: Door, name: str) -> None:
    form = session_form(request_token(door)) | {name: ""}
    answer = door.post("/session/token", data=form)
    assert (answer.status_code, answer.json()["message"]) == (400, f"Missing or empty field `{name}`")


def test_a_session_comes_with_the_profile(door: Door, kite: Client) -> None:
    session = door.post("/session/token", data=session_form(request_token(door))).json()["data"]
    profile = logged_in(door, kite.engine).data("GET", "/user/profile")
    assert profile.items() <= session.items()
    assert (profile["user_id"], profile["user_shortname"], profile["broker"]) == ("PX0001", "Paper", "PAPER")


def test_a_token_is_good_once_and_a_guess_is_no_token(door: Door) -> None:
    token = request_token(door)
    assert door.post("/session/token", data=session_form(token, "guess")).status_code == 403
    assert door.post("/session/token", data=session_form(token)).status_code == 200
    assert door.post("/session/token", data=session_form(token)).status_code == 403


def test_logging_out_ends_it_and_nobody_logs_another_out(kite: Client, other: Client) -> None:
    query = "/session/token?api_key=paper&access_token="
    assert kite.refused("DELETE", f"{query}guess")[0] == 403
    assert kite.data("DELETE", query + kite.token) is True
    assert kite.refused("GET", "/orders")[:2] == (403, "TokenException")
    assert other.data("GET", "/orders") == []


def test_a_session_cannot_be_renewed(kite: Client) -> None:
    assert kite.refused("POST", "/session/refresh_token")[:2] == (403, "TokenException")


def test_whoever_must_press_the_button_is_not_logged_in_by_looking(door: Door, engine: Engine) -> None:
    engine.services.demo = False
    shown = door.get("/connect/login", params=LOGIN)
    assert shown.status_code == 200
    assert "PX0001" in shown.text
    pressed = door.post("/connect/login", params=LOGIN, data={"user_id": "PX0001"})
    assert pressed.status_code == 302


@pytest.mark.parametrize(("segment", "is_there"), [("equity", True), ("commodity", True), ("crypto", False)])
def test_the_segments_of_funds(kite: Client, segment: str, is_there: bool) -> None:
    if is_there:
        assert kite.data("GET", f"/user/margins/{segment}") == kite.data("GET", "/user/margins")[segment]
    else:
        assert "`segment`" in kite.refused("GET", f"/user/margins/{segment}")[2]


def test_units_are_authorised_for_a_sale_one_by_one_or_all(kite: Client, engine: Engine) -> None:
    account = engine.services.accounts["PX0001"]
    account.edis = True
    sale = {"transaction_type": "SELL", "price": "990"}
    code, error, words = kite.refused("POST", "/orders/regular", {
        "exchange": "NSE", "tradingsymbol": "SBIN", "quantity": "10", "product": "CNC", "order_type": "LIMIT", **sale,
    })  # fmt: skip
    assert (code, error, words) == (428, "HoldingException", "10 quantity needs authorisation at depository.")
    holdings = {row["tradingsymbol"]: row for row in kite.data("GET", "/portfolio/holdings")}
    kite.data("POST", "/portfolio/holdings/authorise", {"isin": holdings["SBIN"]["isin"], "quantity": "10"})
    authorised = {row["tradingsymbol"]: row["authorised_quantity"] for row in kite.data("GET", "/portfolio/holdings")}
    assert {name for name, units in authorised.items() if units} == {"SBIN"}
    assert kite.order(kite.place(**sale))["status"] == "OPEN"
    kite.data("POST", "/portfolio/holdings/authorise")
    assert all(row["authorised_quantity"] == row["quantity"] for row in kite.data("GET", "/portfolio/holdings"))
