"""The stream process answers its health check, and problem documents for what it does not have."""

import asyncio

import httpx

from oms.asgi import application


async def ask(method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://stream") as client:
        return await client.request(method, path)


def test_health_and_unknown_paths() -> None:
    assert asyncio.run(ask("GET", "/health/live")).json() == {"status": "ok"}
    unknown = asyncio.run(ask("GET", "/api/v1/orders"))
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"
    assert unknown.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Not Found"}
    assert asyncio.run(ask("POST", "/health/live")).json()["status"] == 405
