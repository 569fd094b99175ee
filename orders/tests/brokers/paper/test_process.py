"""The process as its user meets it: the login page, a big book, what it does not import."""

import subprocess
import sys
from pathlib import Path

import httpx

from orders.tests.brokers.paper.official import KiteConnect
from orders.tests.brokers.paper.process import ROOT_DIRECTORY, PaperExchange, paper_exchange


def test_without_demo_a_person_presses_the_button(tmp_path: Path) -> None:
    with paper_exchange(tmp_path, demo=False) as exchange:
        address = f"{exchange.root}/connect/login?v=3&api_key=paper&redirect_params=x%3D1"
        page = httpx.get(address)
        assert page.status_code == 200
        assert "<button" in page.text
        assert "PX0001" in page.text
        answer = httpx.post(address, data={"user_id": "PX0001"})
        target = httpx.URL(answer.headers["location"])
        assert target.params["x"] == "1"
        kite = KiteConnect("paper", root=exchange.root)
        assert kite.generate_session(target.params["request_token"], "paper-secret")["user_id"] == "PX0001"
        kite.reqsession.close()
        assert httpx.post(address, data={"user_id": "<b>"}).status_code == 400


def test_an_app_without_redirect_shows_the_request_token(exchange: PaperExchange) -> None:
    exchange.control("POST", "/apps", {"api_key": "script", "api_secret": "s"})
    page = httpx.get(f"{exchange.root}/connect/login", params={"api_key": "script"})
    assert page.status_code == 200
    assert "request token" in page.text


def test_the_exchange_imports_neither_django_nor_the_oms() -> None:
    script = (
        "import sys, orders.brokers.paper.__main__; "
        "print([n for n in sys.modules if n.split('.')[0] in ('django', 'oms', 'ledger', 'compliance', 'celery') "
        "or n.startswith('orders.') and not ('orders.brokers.paper.' in n + '.' or n == 'orders.brokers')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT_DIRECTORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
