"""Logging in to the staff pages: a password, then a second factor, without which no staff page opens.

The pages and the codes are django-allauth's; here is who must pass them, what is left out of allauth
(signing up, e-mail, password reset), and that secrets rest encrypted.
"""

import time
from collections.abc import Callable
from typing import Any

from allauth.account import views
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_used
from django.conf import settings
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path, reverse
from django.utils.http import urlencode
from fernet_fields import EncryptedTextField

SESSION_FLAG = "second_factor_of"
FRESH_SECONDS = 300

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("signup/", views.signup, name="account_signup"),
    path("mfa/", include("allauth.mfa.urls")),
]


class StaffAccountAdapter(DefaultAccountAdapter):
    """People are added by a superuser; nobody signs up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def is_reauthentication_required(self, app: str) -> bool:
        """Not of somebody who has just logged in: enrolling would ask for the password twice in a row."""
        request = self.request
        records = get_authentication_records(request, request.user) if request is not None else []
        fresh = any(time.time() - record["at"] < FRESH_SECONDS for record in records)
        return not fresh and bool(super().is_reauthentication_required(app))


class EncryptedSecrets(DefaultMFAAdapter):
    """Secrets of second factors rest encrypted under OMS_FERNET_KEYS, newest first, like broker credentials."""

    def encrypt(self, text: str) -> str:
        return str(EncryptedTextField().fernet.encrypt(text.encode()).decode())

    def decrypt(self, encrypted_text: str) -> str:
        return str(EncryptedTextField().fernet.decrypt(encrypted_text.encode()).decode())


@receiver((authenticator_added, authenticator_used))
def _passed(request: HttpRequest, user: Any, **_kwargs: Any) -> None:
    """Whoever has just typed a right code, to log in or to enrol, has shown the factor in this session."""
    request.session[SESSION_FLAG] = str(user.pk)


@receiver(authenticator_removed)
def _removed(request: HttpRequest, **_kwargs: Any) -> None:
    request.session.pop(SESSION_FLAG, None)


class SecondFactorMiddleware:
    """Sends staff without a second factor in this session to show it, or to enrol, before any admin page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.REQUIRE_2FA and self._is_guarded(request.path) and not self._has_shown(request):
            return self._ask(request)
        return self.get_response(request)

    @staticmethod
    def _is_guarded(path_: str) -> bool:
        return path_.startswith(reverse("admin:index")) and path_ != reverse("admin:logout")

    @staticmethod
    def _has_shown(request: HttpRequest) -> bool:
        """Anonymous visitors and non-staff are the admin's own business: it turns them away."""
        if not (request.user.is_authenticated and request.user.is_staff):
            return True
        return bool(request.session.get(SESSION_FLAG) == str(request.user.pk))

    @staticmethod
    def _ask(request: HttpRequest) -> HttpResponse:
        enrolled = Authenticator.objects.filter(user_id=request.user.pk, type=Authenticator.Type.TOTP).exists()
        url = reverse("mfa_reauthenticate" if enrolled else "mfa_activate_totp")
        query = urlencode({"next": request.get_full_path() if request.method == "GET" else reverse("admin:index")})
        if request.headers.get("HX-Request"):
            return HttpResponse(headers={"HX-Redirect": f"{url}?{query}"})
        return HttpResponseRedirect(f"{url}?{query}")
