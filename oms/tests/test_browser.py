"""What a person at the admin site sees and does, in a real Chromium: one operator's morning, from login to a lifted stop."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from compliance.models import KillSwitch
from oms import demo
from oms.tests import cast
from orders.models import Amendment, Order
from orders.tests.factories import place, see, send
from orders.types import BrokerStatus

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 10_000  # milliseconds that one step may take on a busy machine


@pytest.fixture
def db(committed_db: None) -> None:
    """Everything is made in the database that commits, where the server's threads see it."""


@pytest.fixture
def desk(db: None) -> Order:
    """The demo with one working order."""
    demo.load()
    cast._instrument("NSE", "SBIN", token=779521)
    return see(send(place(user=User.objects.get(username="trader"))), BrokerStatus.OPEN)


@pytest.fixture
def site(db: None) -> Iterator[str]:
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@contextmanager
def browsing(site: str) -> Iterator[Page]:
    """A page on the site; whatever the console, the network or a script complained about fails the test."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(base_url=site, viewport={"width": 1300, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda got: complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        page.on("requestfailed", lambda request: complaints.append(f"{request.url} {request.failure}"))
        yield page
        browser.close()
    # Going on to another page ends what the last one had still asked for.
    assert [complaint for complaint in complaints if "ERR_ABORTED" not in complaint] == []


def log_in(page: Page, name: str) -> None:
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(f"{name}-demo")
    page.keyboard.press("Enter")


def menu(page: Page, title: str) -> None:
    """Go to a page by the menu at the side."""
    page.locator("a", has=page.get_by_text(title, exact=True)).first.click()


def submit(page: Page, reason: str, button: str) -> None:
    """Say why in the open dialog and press its button; the dialog goes."""
    dialog = page.locator("#dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_have_count(0)


def test_an_operators_morning(desk: Order, site: str) -> None:
    with browsing(site) as page:
        log_in(page, "operator")
        expect(page.locator("#live")).to_contain_text("Orders today")
        expect(page.locator(".oms-figure", has_text="Working")).to_contain_text("1")
        expect(page.locator("#live")).to_contain_text("Nothing is stuck.")

        menu(page, "Orders")
        page.locator("#result_list").get_by_role("link").first.click()
        expect(page.locator(".oms-proof")).to_contain_text("Chain verified")
        page.get_by_text("Cancel the order").click()
        page.locator("#dialog").get_by_role("button", name="Cancel the order").click()
        expect(page.locator("#dialog")).to_contain_text("required", ignore_case=True)
        submit(page, "the client has called", "Cancel the order")
        expect(page.locator("body")).to_contain_text("the client has called")
        expect(page.locator(".oms-proof")).to_contain_text("Chain verified")

        menu(page, "Kill switches")
        page.get_by_text("Stop trading").click()
        page.locator("#dialog").get_by_label("Halted").check()
        submit(page, "flash crash in the index", "Change the trading mode")
        menu(page, "Live")
        banner = page.locator(".oms-banner")
        expect(banner).to_contain_text("The whole house is halted: flash crash in the index")
        banner.get_by_role("link", name="Kill switches").click()
        page.locator(".oms-button.oms-go", has_text="Change").click()
        page.locator("#dialog").get_by_label("Active").check()
        submit(page, "the index is calm again", "Change the trading mode")
        menu(page, "Live")
        expect(page.locator("#live")).to_be_visible()
        expect(banner).to_have_count(0)
    assert Amendment.objects.get(order=desk).reason == "the client has called"
    assert KillSwitch.objects.get().mode == "ACTIVE"


def test_the_first_account_is_opened_from_the_checklist(operator: User, site: str) -> None:
    with browsing(site) as page:
        log_in(page, "operator")
        expect(page.locator(".oms-opening")).to_contain_text("Opening checklist")
        page.get_by_text("Do it now").click()
        dialog = page.locator("#dialog")
        dialog.get_by_label("Code").fill("ACME")
        dialog.get_by_label("Name").fill("Acme Capital")
        dialog.get_by_label("CNC").check()
        submit_refused(page, "our first client")
        expect(dialog).to_contain_text("A client's account needs the client's PAN.")
        dialog.get_by_label("UCC").fill("AC01")
        dialog.get_by_label("PAN").fill("AAAPZ9999Z")
        submit(page, "our first client", "Open an account")
        expect(page.get_by_text("Account ACME is open.")).to_be_visible()
        expect(page.locator(".oms-facts").first).to_contain_text("••••••999Z")


def submit_refused(page: Page, reason: str) -> None:
    page.locator("#dialog").get_by_label("Reason").fill(reason)
    page.locator("#dialog").get_by_role("button", name="Open an account").click()
    expect(page.locator("#dialog [role=alert]")).to_be_visible()
