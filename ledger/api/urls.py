"""The endpoints under /api/v1/ about what accounts have."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from ledger.api import accounts, capital, instruments, positions


class CodeConverter(StringConverter):
    """Codes and symbols: printable, so that nothing reaches the database that it cannot hold."""

    regex = r"[A-Za-z0-9&_.\- ]{1,40}"


register_converter(CodeConverter, "code")

urlpatterns = [
    path("accounts", accounts.AccountsView.as_view(), name="accounts"),
    path("instruments", instruments.InstrumentsView.as_view(), name="instruments"),
    path("instruments/<code:exchange>/<code:symbol>", instruments.InstrumentView.as_view(), name="instrument"),
    path("capital-ledger/deposit", capital.DepositView.as_view(), name="capital-deposit"),
    path("capital-ledger/available/<code:portfolio_id>", capital.AvailableView.as_view(), name="capital-available"),
    path("capital-ledger/summary/<code:portfolio_id>", capital.SummaryView.as_view(), name="capital-summary"),
    path("capital-ledger/history/<code:portfolio_id>", capital.HistoryView.as_view(), name="capital-history"),
    path("positions", positions.PositionsView.as_view(), name="positions"),
]
