"""GET /positions: what each portfolio holds, and what it is worth at the last prices."""

from datetime import datetime

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from ledger.api.instruments import age
from ledger.models import Position
from ledger.selectors import positions_visible_to
from ledger.valuation import Valuation, value_positions
from oms.lib import clock
from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.pages import Page, PageQuery, page_of
from oms.lib.api.shapes import Shape
from oms.lib.api.views import ApiView
from oms.lib.api.wire import Document, json_response
from oms.lib.clock import ist_date


class PositionQuery(PageQuery):
    account_id = serializers.CharField(max_length=36, required=False)
    portfolio_id = serializers.CharField(max_length=36, required=False)
    symbol = serializers.CharField(max_length=45, required=False, help_text="`SBIN` or `NSE:SBIN`.")
    product = serializers.CharField(max_length=4, required=False)


class PositionDocument(Shape):
    """`quantity` is negative when short; `day…` count today; P&L in rupees, unrealised at `lastPrice`."""

    account_id = serializers.CharField()
    portfolio_id = serializers.CharField()
    exchange = serializers.CharField()
    symbol = serializers.CharField()
    product = serializers.CharField()
    quantity = ExactDecimal(places=0)
    reserved_quantity = ExactDecimal(places=0)
    average_price = ExactDecimal()
    allocated_capital = ExactDecimal()
    realised_pnl = ExactDecimal()
    day_buy_quantity = ExactDecimal(places=0)
    day_buy_value = ExactDecimal()
    day_sell_quantity = ExactDecimal(places=0)
    day_sell_value = ExactDecimal()
    last_price = ExactDecimal(required=False)
    last_price_at = serializers.DateTimeField(required=False)
    last_price_age = ExactDecimal(required=False)
    market_value = ExactDecimal(required=False)
    unrealised_pnl = ExactDecimal(required=False)
    updated_at = serializers.DateTimeField()


class PositionPage(Page):
    content = PositionDocument(many=True)


class PositionsView(ApiView):
    @extend_schema(operation_id="listPositions", tags=["Positions"], parameters=[PositionQuery], responses=PositionPage)
    def get(self, request: Request) -> HttpResponse:
        """My positions; holdings are those of product CNC."""
        query = PositionQuery.read_query(request.query_params)
        positions = positions_visible_to(request.user).order_by("account__code", "instrument__symbol", "id")
        lookups = {"account_id": "account__code", "portfolio_id": "capital_account__code", "product": "product"}
        positions = positions.filter(**{lookups[name]: value for name, value in query.items() if name in lookups})
        if symbol := query.get("symbol"):
            exchange, _, bare = symbol.rpartition(":")
            positions = positions.filter(
                instrument__symbol=bare, **({"instrument__exchange": exchange} if exchange else {})
            )
        return json_response(page_of(positions, query, _documents))


def _documents(positions: list[Position]) -> list[Document]:
    now = clock.now()
    values = value_positions(positions, at=now)
    return [_document(position, values.get(position.pk), now) for position in positions]


def _document(position: Position, value: Valuation | None, now: datetime) -> Document:
    # The counters of the day are those of its last trading day until it trades again.
    is_today = position.day == ist_date(now)
    document: Document = {
        "accountId": position.account.code,
        "portfolioId": position.capital_account.code,
        "exchange": position.instrument.exchange,
        "symbol": position.instrument.symbol,
        "product": position.product,
        "quantity": position.quantity,
        "reservedQuantity": position.reserved_units,
        "averagePrice": position.average_price,
        "allocatedCapital": position.allocated,
        "realisedPnl": position.realised_pnl,
        "dayBuyQuantity": position.day_buy_quantity if is_today else 0,
        "dayBuyValue": position.day_buy_value if is_today else 0,
        "daySellQuantity": position.day_sell_quantity if is_today else 0,
        "daySellValue": position.day_sell_value if is_today else 0,
        "updatedAt": position.updated_at,
    }
    if value is not None:
        document |= {
            "lastPrice": value.last_price,
            "lastPriceAt": value.price_at,
            "lastPriceAge": age(value.price_at, now),
            "marketValue": value.market_value,
            "unrealisedPnl": value.unrealised_pnl,
        }
    return document
