"""Every door of the web process: API under /api/v1, admin at /admin, its login at /auth, health and metrics."""

import sys

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import defaults
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from oms.lib.api.problems import AWAY, problem, unavailable
from oms.monitoring import health
from oms.monitoring.metrics import metrics

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

API = "/api/"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("auth/", include("oms.staff.two_factor")),
    path("api/v1/", include("compliance.api.urls")),
    path("api/v1/", include("ledger.api.urls")),
    path("api/v1/", include("orders.api.urls")),
    path("api/v1/broker/<slug:broker>/", include("orders.api.broker_urls")),
    path("api/v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("health", health.ready, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics, name="metrics"),
]


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem(400, code="bad_request", detail="The request cannot be understood.", instance=request.path)
    return defaults.bad_request(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(API):
        return problem(404, code="not_found", detail="There is nothing at this address.", instance=request.path)
    return defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """Also where a middleware or a plain view failed because the database or Redis is away."""
    error = sys.exc_info()[1]
    if isinstance(error, AWAY):
        return unavailable(error, request.path)
    if request.path.startswith(API):
        detail = "Something went wrong here. Nothing was done unless a repeat of the request says so."
        return problem(500, code="internal_error", detail=detail, instance=request.path)
    return defaults.server_error(request)
