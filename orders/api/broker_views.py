"""The two addresses that a broker knows of us: where its login page sends people back, and its postbacks.

Plain Django views, since neither belongs to the API's contract; what a broker sends is read by its adapter. A
postback is a hint and nothing more: the order is read again from the broker before anything changes.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
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
    return next((one for one in _accounts_of(kind, said.client_ids) if said.is_signed_with(one.api_secret)), None)


#: Postbacks come in bursts, and deciphering secrets is dear: what was read counts for a moment, and no longer than
#: until an account is changed in this process.
READ_FOR = timedelta(seconds=4)
MOST_READ = 100
_read: dict[tuple[str, frozenset[str]], tuple[datetime, list[BrokerAccount]]] = {}


def _accounts_of(kind: str, client_ids: Iterable[str]) -> list[BrokerAccount]:
    key, at = (kind, frozenset(client_ids)), clock.now()
    until, accounts = _read.get(key, (at, []))
    if until <= at:
        accounts = list(BrokerAccount.objects.filter(kind=kind, client_id__in=key[1]).order_by("pk"))
        if len(_read) >= MOST_READ:  # a stranger may name any clients
            _read.clear()
        _read[key] = at + READ_FOR, accounts
    return accounts


@receiver((post_save, post_delete), sender=BrokerAccount)
def _read_again(**_signal: Any) -> None:
    _read.clear()


def _refuse(request: HttpRequest, status: int, code: str, detail: str) -> HttpResponse:
    return problem(status, code=code, detail=detail, instance=request.path)
