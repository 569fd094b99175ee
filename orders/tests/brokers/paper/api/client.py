"""A logged-in client of the exchange's routes, which takes envelopes apart."""

import asyncio
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.types import ASGIApp

from orders.tests.brokers.paper.engine import Engine

FORM = {
    "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "quantity": "10", "product": "CNC",
    "order_type": "LIMIT", "price": "960",
}  # fmt: skip


class Door:
    """The application as one meets it over HTTP, without a socket between."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), base_url="http://paper") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


class Client:
    """`data` is what an answer holds, `refused` how it was refused."""

    def __init__(self, door: Door, engine: Engine, token: str) -> None:
        self.door, self.engine, self.token = door, engine, token

    def call(self, method: str, path: str, form: Any = None, json: Any = None) -> Any:
        headers = {"X-Kite-Version": "3", "Authorization": f"token paper:{self.token}"}
        return self.door.request(method, path, data=form, json=json, headers=headers)

    def data(self, method: str, path: str, form: Any = None, json: Any = None) -> Any:
        answer = self.call(method, path, form, json)
        assert answer.status_code == 200, answer.text
        assert answer.json()["status"] == "success"
        self.engine.run()
        return answer.json()["data"]

    def refused(self, method: str, path: str, form: Any = None, json: Any = None) -> tuple[int, str, str]:
        answer = self.call(method, path, form, json)
        body = answer.json()
        assert (body["status"], body["data"]) == ("error", None), answer.text
        return answer.status_code, body["error_type"], body["message"]

    def place(self, variety: str = "regular", **form: str) -> str:
        placed: str = self.data("POST", f"/orders/{variety}", FORM | form)["order_id"]
        return placed

    def order(self, order_id: str) -> dict[str, Any]:
        [row] = [row for row in self.data("GET", "/orders") if row["order_id"] == order_id]
        found: dict[str, Any] = row
        return found


def request_token(door: Door, user_id: str = "PX0001") -> str:
    """What the login page sends back."""
    answer = door.get("/connect/login", params={"v": 3, "api_key": "paper", "user_id": user_id})
    return parse_qs(urlsplit(answer.headers["location"]).query)["request_token"][0]


def session_form(token: str, secret: str = "") -> dict[str, str]:
    checksum = sha256(f"paper{token}{secret or 'paper-secret'}".encode()).hexdigest()
    return {"api_key": "paper", "request_token": token, "checksum": checksum}


def logged_in(door: Door, engine: Engine, user_id: str = "PX0001") -> Client:
    answer = door.post("/session/token", data=session_form(request_token(door, user_id)))
    return Client(door, engine, answer.json()["data"]["access_token"])
