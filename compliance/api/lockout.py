"""What somebody sees who has guessed passwords too often, at the API and at the admin's login page."""

from typing import Any

from axes.helpers import get_cool_off
from django.http import HttpRequest, HttpResponse

from oms.lib.api.problems import problem

DETAIL = "Too many failed logins. Wait, or ask an operator to unlock you."


def locked_out(request: HttpRequest, _response: Any = None, _credentials: Any = None) -> HttpResponse:
    """429 with the whole waiting time as Retry-After; django-axes' AXES_LOCKOUT_CALLABLE."""
    wait = get_cool_off(request)
    headers = {"Retry-After": str(int(wait.total_seconds()))} if wait else None
    if request.path.startswith("/api/"):
        return problem(429, code="locked_out", detail=DETAIL, instance=request.path, headers=headers)
    return HttpResponse(DETAIL, status=429, content_type="text/plain; charset=utf-8", headers=headers)
