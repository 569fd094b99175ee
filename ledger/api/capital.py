"""The capital ledger: what is available, where the money is, how it moved, and paying in."""

from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from compliance.acting import actor_of
from compliance.api.idempotency import HEADER, idempotent, replayed, required_key
from compliance.api.permissions import IsOperator
from compliance.idempotency import AlreadyAnswered, StoredAnswer
from ledger.api.capital_documents import (
    AvailableDocument,
    Deposit,
    EntryDocument,
    EntryKeyset,
    SummaryDocument,
    entry_document,
)
from ledger.models import CapitalAccount, CapitalEntry
from ledger.selectors import available, entries_of, portfolios_visible_to
from ledger.services.capital import deposit
from ledger.summary import summary
from oms.lib import clock
from oms.lib.api.keysets import KeysetQuery, keyset_of
from oms.lib.api.views import ApiView, body_of
from oms.lib.api.wire import Document, json_bytes, json_response

REQUIRED_KEY = OpenApiParameter(
    HEADER, str, OpenApiParameter.HEADER, required=True, description="The same key and body pay in once."
)


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

        def document(entry: CapitalEntry) -> Document:
            return entry_document(entry, portfolio)

        return json_response(keyset_of(entries_of(portfolio), query, key="seq", descending=True, document=document))


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
            return StoredAnswer(201, json_bytes(entry_document(entry, portfolio)))

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
        return json_response(entry_document(entry, portfolio), status=201)
