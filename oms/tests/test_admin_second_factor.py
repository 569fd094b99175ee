"""Logging in to the staff pages with a second factor, from the first enrolment to a lost phone."""

import base64
import hashlib
import hmac
import re
import struct
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from oms.lib.clock import now

ORDERS = "/admin/orders/order/"
PASSWORD = "operator-demo"


def code_of(secret: str, at: float | None = None) -> str:
    """The six digits that an authenticator app shows (RFC 6238), reckoned here from the RFC alone."""
    counter = struct.pack(">Q", int((time.time() if at is None else at) // 30))
    digest = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"


@pytest.fixture(autouse=True)
def _two_factors(settings: Any) -> None:
    settings.REQUIRE_2FA = True


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(now(), tick=True) as traveller:
        yield traveller


def log_in(client: Client, password: str = PASSWORD, name: str = "operator") -> Any:
    return client.post(reverse("account_login"), {"login": name, "password": password})


def enrol(client: Client) -> str:
    """Go through the enrolment page as a person does; the secret."""
    page = client.get(reverse("mfa_activate_totp"))
    text = page.content.decode()
    assert "data:image/svg+xml;base64," in text, "the QR code"
    found = re.search(r'value="([A-Z2-7]{16,})"', text)
    assert found, "the secret to type by hand"
    done = client.post(reverse("mfa_activate_totp"), {"code": code_of(found[1])})
    assert done.status_code == 302
    return found[1]


def test_without_a_second_factor_no_staff_page_opens_and_enrolling_opens_them(
    committed_db: None, client: Client
) -> None:
    """In a database that commits: enrolling is only over with its commit."""
    operator = User.objects.create_superuser("operator", password=PASSWORD)
    assert log_in(client).status_code == 302
    for page in ("/admin/", ORDERS, "/admin/compliance/killswitch/"):
        answer = client.get(page)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(reverse("mfa_activate_totp"))
    secret = enrol(client)
    assert client.get(ORDERS).status_code == 200
    stored = Authenticator.objects.get(user=operator, type="totp").data["secret"]
    assert secret not in stored


def test_the_next_login_asks_for_a_code_and_takes_only_the_right_one(
    operator: User, client: Client, clock: time_machine.Traveller
) -> None:
    log_in(client)
    secret = enrol(client)
    client.post(reverse("account_logout"))
    clock.shift(timedelta(seconds=31))
    assert log_in(client).headers["Location"] == reverse("mfa_authenticate")
    assert client.get(ORDERS).status_code == 302, "a password alone opens nothing"
    wrong = f"{(int(code_of(secret)) + 1) % 1_000_000:06d}"
    assert client.post(reverse("mfa_authenticate"), {"code": wrong}).status_code == 200
    assert client.get(ORDERS).status_code == 302
    assert client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302
    assert client.get(ORDERS).status_code == 200


def test_a_session_that_never_showed_the_factor_is_asked_for_it(
    operator: User, client: Client, clock: time_machine.Traveller
) -> None:
    log_in(client)
    secret = enrol(client)
    other = Client()
    other.force_login(operator)
    clock.shift(timedelta(seconds=31))
    asked = other.get(ORDERS)
    assert asked.headers["Location"].startswith(reverse("mfa_reauthenticate"))
    answer = other.post(asked.headers["Location"], {"code": code_of(secret), "next": ORDERS})
    assert answer.headers["Location"] == ORDERS
    assert other.get(ORDERS).status_code == 200


def test_a_code_works_once(operator: User, client: Client, clock: time_machine.Traveller) -> None:
    log_in(client)
    secret = enrol(client)
    clock.shift(timedelta(seconds=31))
    code = code_of(secret)
    for expected in (302, 200):
        other = Client()
        log_in(other)
        assert other.post(reverse("mfa_authenticate"), {"code": code}).status_code == expected


def test_a_recovery_code_opens_the_door_once(operator: User, client: Client) -> None:
    log_in(client)
    enrol(client)
    recovery = Authenticator.objects.get(user=operator, type="recovery_codes").wrap().get_unused_codes()[0]
    for expected in (302, 200):
        other = Client()
        log_in(other)
        assert other.post(reverse("mfa_authenticate"), {"code": recovery}).status_code == expected


def test_giving_the_factor_up_closes_the_staff_pages_again(operator: User, client: Client) -> None:
    log_in(client)
    enrol(client)
    assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert client.get(ORDERS).headers["Location"].startswith(reverse("mfa_activate_totp"))


def test_a_superuser_forgets_a_lost_factor(operator: User, client: Client, settings: Any) -> None:
    log_in(client)
    enrol(client)
    settings.REQUIRE_2FA = False
    root = User.objects.create_superuser("root", password="root")
    client.force_login(root)
    url = reverse("admin:auth_user_forget_second_factor", args=[operator.pk])
    client.post(url, {"_form_submitted": "on", "reason": "phone lost on the train"})
    assert not Authenticator.objects.filter(user=operator).exists()


def test_actions_are_guarded_like_pages(operator: User, client: Client) -> None:
    log_in(client)
    url = reverse("admin:compliance_killswitch_change_mode")
    answer = client.post(url, {"mode": "HALTED", "reason": "no factor"}, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"].startswith(reverse("mfa_activate_totp"))


def test_a_wrong_password_is_refused_and_nobody_signs_up(operator: User, client: Client) -> None:
    assert log_in(client, "wrong").status_code == 200
    client.post(reverse("account_signup"), {"username": "stranger", "password1": "long-enough-password"})
    assert not User.objects.filter(username="stranger").exists()


def test_guessing_is_stopped(operator: User, client: Client) -> None:
    answers = [log_in(client, f"guess-{n}") for n in range(8)]
    assert log_in(client).status_code != 302, "even the right password waits now"
    assert answers[0].status_code == 200


def test_the_demo_opens_with_the_password_alone(operator: User, client: Client, settings: Any) -> None:
    settings.REQUIRE_2FA = False
    assert log_in(client).headers["Location"] == "/admin/"
    assert client.get(ORDERS).status_code == 200


@pytest.mark.parametrize("page", ["account_login", "mfa_index", "mfa_activate_totp", "account_logout"])
def test_the_pages_around_logging_in_have_the_sites_look(page: str, operator: User, client: Client) -> None:
    if page != "account_login":
        log_in(client)
    text = client.get(reverse(page)).content.decode()
    assert "oms/admin.css" in text
    assert "Order management" in text
