"""The two addresses that a broker knows of us: where its login page sends people back, and its postbacks.

Plain Django views, since neither belongs to the API's contract. A postback is a hint and nothing more:
its checksum covers two of its fields, so the order is read again from the broker before anything changes.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import redis
import structlog
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from kombu.exceptions import OperationalError

from compliance.acting import actor_of
from oms.lib import clock
from oms.lib.api.problems import problem
from oms.lib.errors import DomainError, Invalid
from orders.brokers.registry import broker_for
from orders.gateway.logins import complete_login
from orders.models import BrokerAccount
from orders.tasks import hint_to_look

MAX_POSTBACK_BYTES = 64 * 1024

logger = structlog.get_logger(__name__)


@require_GET
@staff_member_required
def login_callback(request: HttpRequest) -> HttpResponse:
    """The end of a login: the broker's page sends the person back here with a request token."""
    try:
        account = _finish_login(request)
    except DomainError as error:
        context = {"error": error, "again": reverse("admin:orders_brokeraccount_changelist")}
        return render(request, "orders/broker_login_failed.html", context, status=error.status)
    messages.success(request, f"{account.name}: logged in as {account.client_id}. {account.session_message}".strip())
    return HttpResponseRedirect(reverse("admin:orders_brokeraccount_change", args=[account.pk]))


def _finish_login(request: HttpRequest) -> BrokerAccount:
    query = request.GET
    if query.get("status") != "success" or query.get("action", "login") != "login":
        raise Invalid("The broker's login page reported no success: nobody was logged in.", code="login_failed")
    token = query.get("request_token", "")
    if not token:
        raise Invalid("The broker's login page sent no request_token.", code="login_failed")
    return complete_login(query.get("state", ""), token, actor=actor_of(request), at=clock.now())


@csrf_exempt
@require_POST
def postback(request: HttpRequest) -> HttpResponse:
    """A broker's word that an order has changed. Answers at once; a worker reads the order again."""
    payload = _payload(request)
    if payload is None:
        return _refuse(
            request, 400, "postback_unreadable", f"A JSON object of at most {MAX_POSTBACK_BYTES} bytes is expected."
        )
    account = _sender(payload)
    if account is None:
        return _refuse(request, 403, "postback_not_genuine", "The checksum fits no broker account.")
    try:
        hint_to_look(account.pk, str(payload["order_id"])[:40])
    except (OperationalError, redis.RedisError) as error:
        logger.warning("postback_not_queued", broker_account=account.name, reason=type(error).__name__)
        return _refuse(request, 503, "unavailable", "The hint cannot be queued; the poll will find the change.")
    return HttpResponse(status=200)


def _payload(request: HttpRequest) -> dict[str, Any] | None:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_POSTBACK_BYTES:
        return None
    body = request.read(MAX_POSTBACK_BYTES + 1)
    try:
        parsed = orjson.loads(body) if len(body) <= MAX_POSTBACK_BYTES else None
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _sender(payload: Mapping[str, Any]) -> BrokerAccount | None:
    """The account whose secret signed the payload, among those of the client that it names."""
    names = {name for key in ("user_id", "account_id") if isinstance(name := payload.get(key), str)}
    candidates = BrokerAccount.objects.filter(client_id__in=names).order_by("pk")
    return next((one for one in candidates if broker_for(one).is_genuine_postback(dict(payload))), None)


def _refuse(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    return problem(status, code=code, detail=detail, instance=request.path)
