"""The two addresses that a broker knows of us: where its login page sends people back, and its postbacks.

Plain Django views, since neither belongs to the API's contract; what a broker sends is read by its adapter. A
postback is a hint and nothing more: the order is read again from the broker before anything changes.
"""

import redis
import structlog
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from kombu.exceptions import OperationalError

from compliance.acting import actor_of
from oms.lib import clock
from oms.lib.api.problems import problem
from oms.lib.errors import DomainError
from orders.brokers.base import Postback
from orders.brokers.registry import KINDS
from orders.gateway.logins import complete_login
from orders.models import BrokerAccount
from orders.tasks import hint_to_look

MAX_POSTBACK_BYTES = 64 * 1024

logger = structlog.get_logger(__name__)


@require_GET
@staff_member_required
def login_callback(request: HttpRequest, broker: str) -> HttpResponse:
    """The end of a login: the broker's page sends the person back here with a request token."""
    try:
        account = complete_login(_kind(broker), request.GET.dict(), actor=actor_of(request), at=clock.now())
    except DomainError as error:
        context = {"error": error, "again": reverse("admin:orders_brokeraccount_changelist")}
        return render(request, "orders/broker_login_failed.html", context, status=error.status)
    messages.success(request, f"{account.name}: logged in as {account.client_id}. {account.session_message}".strip())
    return HttpResponseRedirect(reverse("admin:orders_brokeraccount_change", args=[account.pk]))


def _kind(broker: str) -> str:
    """The kind of broker in an address. Raises Http404."""
    kind = broker.upper()
    if kind not in KINDS or broker != broker.lower():
        raise Http404
    return kind


@csrf_exempt
@require_POST
def postback(request: HttpRequest, broker: str) -> HttpResponse:
    """A broker's word that an order has changed. Answers at once; a worker reads the order again."""
    kind = _kind(broker)
    said = _postback(request, kind)
    if said is None:
        return _refuse(
            request, 400, "postback_unreadable", f"A postback of at most {MAX_POSTBACK_BYTES} bytes is expected."
        )
    account = _sender(kind, said)
    if account is None:
        return _refuse(request, 403, "postback_not_genuine", "The checksum fits no broker account.")
    try:
        hint_to_look(account.pk, said.broker_order_id[:40])
    except (OperationalError, redis.RedisError) as error:
        logger.warning("postback_not_queued", broker_account=account.name, reason=type(error).__name__)
        return _refuse(request, 503, "unavailable", "The hint cannot be queued; the poll will find the change.")
    return HttpResponse(status=200)


def _postback(request: HttpRequest, kind: str) -> Postback | None:
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_POSTBACK_BYTES:
        return None
    body = request.read(MAX_POSTBACK_BYTES + 1)
    return KINDS[kind].read_postback(body, request.headers) if len(body) <= MAX_POSTBACK_BYTES else None


def _sender(kind: str, said: Postback) -> BrokerAccount | None:
    """The account whose secret signed a postback, among those of the clients that it names."""
    candidates = BrokerAccount.objects.filter(kind=kind, client_id__in=said.client_ids).order_by("pk")
    return next((one for one in candidates if said.is_signed_with(one.api_secret)), None)


def _refuse(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    return problem(status, code=code, detail=detail, instance=request.path)
