"""Logging in to the API, staying logged in, and logging out."""

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from compliance.api.authentication import BearerAuthentication
from compliance.api.logins import Login, log_in, renew
from oms.lib.api.shapes import Shape
from oms.lib.api.views import ApiView, body_of
from oms.lib.api.wire import json_response


class Credentials(Shape):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=128, trim_whitespace=False)


class Refresh(Shape):
    refresh = serializers.CharField(max_length=2000)


class LoginDocument(Shape):
    """`expiresIn` is the life of `access` in seconds."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    token_type = serializers.ChoiceField(["Bearer"])
    expires_in = serializers.IntegerField()


class _OpenDoor(ApiView):
    """For those who have no access token; it still names the scheme that a 401 must name."""

    authentication_classes = ()
    permission_classes = ()
    rate_policy = "login"

    def get_authenticate_header(self, request: Request) -> str:
        return BearerAuthentication().authenticate_header(request)


class TokenView(_OpenDoor):
    @extend_schema(operation_id="logIn", tags=["Auth"], request=Credentials, responses=LoginDocument, auth=[])
    def post(self, request: Request) -> HttpResponse:
        """Log in with user name and password."""
        credentials = Credentials.read(body_of(request))
        http = request._request
        user = authenticate(http, **credentials)
        if user is None:
            raise AuthenticationFailed("Wrong user name or password.", code="wrong_credentials")
        user_logged_in.send(sender=type(user), request=http, user=user)  # last login, access log, failures forgiven
        return _document(log_in(user))


class RefreshView(_OpenDoor):
    @extend_schema(operation_id="refreshToken", tags=["Auth"], request=Refresh, responses=LoginDocument, auth=[])
    def post(self, request: Request) -> HttpResponse:
        """A new access token for a login that has not ended; the refresh token stays the same."""
        return _document(renew(_refresh_token(request)))


class LogoutView(_OpenDoor):
    @extend_schema(operation_id="logOut", tags=["Auth"], request=Refresh, responses={204: None}, auth=[])
    def post(self, request: Request) -> HttpResponse:
        """End the login: its refresh token and every access token it gave stop working at once."""
        _refresh_token(request).blacklist()
        return HttpResponse(status=204)


def _refresh_token(request: Request) -> RefreshToken:
    try:
        return RefreshToken(Refresh.read(body_of(request))["refresh"])
    except TokenError:
        raise AuthenticationFailed("The refresh token is not valid or has ended.", code="invalid_token") from None


def _document(login: Login) -> HttpResponse:
    return json_response(
        {"access": login.access, "refresh": login.refresh, "tokenType": "Bearer", "expiresIn": login.expires_in}
    )
