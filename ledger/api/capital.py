"""The capital ledger: what is available, where the money is, how it moved, and paying in."""

from typing import Any

from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from compliance.api.actors import IsOperator, actor_of
from compliance.api.idempotency import HEADER, idempotent, replayed, required_key
from compliance.idempotency import AlreadyAnswered, StoredAnswer
from ledger.models import Bucket, CapitalAccount, CapitalEntry
from ledger.selectors import available, entries_of, portfolios_visible_to
from ledger.services.capital import deposit
from ledger.summary import summary
from oms.lib import clock
from oms.lib.api.pages import Keyset, KeysetQuery, keyset_of
from oms.lib.api.shapes import ExactDecimal, Shape
from oms.lib.api.views import ApiView, body_of
from oms.lib.api.wire import json_bytes, json_response
from oms.lib.money import ZERO

REQUIRED_KEY = OpenApiParameter(
    HEADER, str, OpenApiParameter.HEADER, required=True, description="The same key and body pay in once."
)


class AvailableDocument(Shape):
    """Rupees free for new orders; up to 30 s old, though every posting clears the cache."""

    portfolio_id = serializers.CharField()
    available = ExactDecimal(places=2)


class SummaryDocument(Shape):
    """Rupees. free + reserved + allocated = deposits − withdrawals + realised P&L − charges + adjustments."""

    portfolio_id = serializers.CharField()
    account_id = serializers.CharField()
    free = ExactDecimal(places=2)
    reserved = ExactDecimal(places=2)
    allocated = ExactDecimal(places=2)
    total = ExactDecimal(places=2)
    deposits = ExactDecimal(places=2)
    withdrawals = ExactDecimal(places=2)
    realised_pnl = ExactDecimal(places=2)
    charges = ExactDecimal(places=2)
    adjustments = ExactDecimal(places=2)
    open_reservations = serializers.IntegerField()


class EntryDocument(Shape):
    """One movement from the bucket `debit` to the bucket `credit`, with the buckets after it."""

    id = serializers.UUIDField()
    seq = serializers.IntegerField()
    portfolio_id = serializers.CharField()
    kind = serializers.ChoiceField(CapitalEntry.Kind.values)
    status = serializers.ChoiceField(CapitalEntry.Status.values)
    debit = serializers.ChoiceField(Bucket.values)
    credit = serializers.ChoiceField(Bucket.values)
    amount = ExactDecimal(places=2)
    free_after = ExactDecimal(places=2)
    reserved_after = ExactDecimal(places=2)
    allocated_after = ExactDecimal(places=2)
    order_id = serializers.UUIDField(required=False)
    execution_id = serializers.UUIDField(required=False)
    reserve_id = serializers.UUIDField(required=False)
    actor = serializers.CharField()
    reason = serializers.CharField(required=False)
    created_at = serializers.DateTimeField()


class EntryKeyset(Keyset):
    content = EntryDocument(many=True)


class Deposit(Shape):
    portfolio_id = serializers.CharField(max_length=36)
    amount = ExactDecimal(digits=18, places=2, above=ZERO, help_text="Rupees.")
    reason = serializers.CharField(max_length=300)


class _PortfolioView(ApiView):
    def portfolio(self, request: Request, code: str) -> CapitalAccount:
        """Raises Http404, the same for absent and for not yours."""
        found = portfolios_visible_to(request.user).filter(code=code).first()
        if found is None:
            raise Http404
        return found


class AvailableView(_PortfolioView):
    @extend_schema(operation_id="getAvailableCapital", tags=["Capital ledger"], responses=AvailableDocument)
    def get(self, request: Request, portfolio_id: str) -> HttpResponse:
        """Capital free for new orders."""
        portfolio = self.portfolio(request, portfolio_id)
        return json_response({"portfolioId": portfolio.code, "available": available(portfolio)})


class SummaryView(_PortfolioView):
    @extend_schema(operation_id="getCapitalSummary", tags=["Capital ledger"], responses=SummaryDocument)
    def get(self, request: Request, portfolio_id: str) -> HttpResponse:
        """Where the money is, and where it came from and went."""
        portfolio = self.portfolio(request, portfolio_id)
        found = summary(portfolio)
        return json_response(
            {
                "portfolioId": portfolio.code,
                "accountId": portfolio.account.code,
                "free": found.free,
                "reserved": found.reserved,
                "allocated": found.allocated,
                "total": found.total,
                "deposits": found.deposits,
                "withdrawals": found.withdrawals,
                "realisedPnl": found.realised_pnl,
                "charges": found.charges,
                "adjustments": found.adjustments,
                "openReservations": found.open_reservations,
            }
        )


class HistoryView(_PortfolioView):
    @extend_schema(
        operation_id="listCapitalEntries", tags=["Capital ledger"], parameters=[KeysetQuery], responses=EntryKeyset
    )
    def get(self, request: Request, portfolio_id: str) -> HttpResponse:
        """Every movement, newest first."""
        portfolio = self.portfolio(request, portfolio_id)
        query = KeysetQuery.read_query(request.query_params)
        return json_response(
            keyset_of(
                entries_of(portfolio), query, key="seq", descending=True, document=lambda e: _entry(e, portfolio)
            )
        )


class DepositView(_PortfolioView):
    permission_classes = (IsOperator,)

    @extend_schema(
        operation_id="deposit", tags=["Capital ledger"], parameters=[REQUIRED_KEY], request=Deposit,
        responses={201: EntryDocument},
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Pay in. Operators only; above a limit one person alone may not."""
        key = required_key(request)
        given = Deposit.read(body_of(request))
        portfolio = self.portfolio(request, given["portfolio_id"])

        def answer(entry: CapitalEntry) -> StoredAnswer:
            return StoredAnswer(201, json_bytes(_entry(entry, portfolio)))

        try:
            entry = deposit(
                portfolio,
                given["amount"],
                key=f"user:{request.user.pk}:{key}",
                reason=given["reason"],
                user=request.user,
                actor=actor_of(request),
                at=clock.now(),
                idempotent=idempotent(request, answer),
            )
        except AlreadyAnswered as before:
            return replayed(before.stored)
        return json_response(_entry(entry, portfolio), status=201)


def _entry(entry: CapitalEntry, portfolio: CapitalAccount) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": entry.id,
        "seq": entry.seq,
        "portfolioId": portfolio.code,
        "kind": entry.kind,
        "status": entry.status,
        "debit": entry.debit,
        "credit": entry.credit,
        "amount": entry.amount,
        "freeAfter": entry.free_after,
        "reservedAfter": entry.reserved_after,
        "allocatedAfter": entry.allocated_after,
        "actor": entry.actor,
        "createdAt": entry.created_at,
    }
    optional = {
        "orderId": entry.order_id,
        "executionId": entry.execution_id,
        "reserveId": entry.reserve_id,
        "reason": entry.reason or None,
    }
    document.update((name, value) for name, value in optional.items() if value is not None)
    return document
