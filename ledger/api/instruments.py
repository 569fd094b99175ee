"""GET /instruments: what can be traded, by which steps and within which band, and its last price."""

from datetime import datetime
from decimal import Decimal

from django.db.models import Q
from django.http import Http404, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from ledger.market.hours import HOURS
from ledger.market.prices import LastPrice, get_prices
from ledger.models import Instrument
from oms.lib import clock
from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.pages import Page, PageQuery, page_of
from oms.lib.api.shapes import Shape
from oms.lib.api.views import ApiView
from oms.lib.api.wire import Document, json_response

_MILLISECOND = Decimal("0.001")


class InstrumentQuery(PageQuery):
    """`symbol` is the beginning of a symbol, `name` any part of the name; case does not matter."""

    symbol = serializers.CharField(max_length=40, required=False)
    name = serializers.CharField(max_length=120, required=False)
    exchange = serializers.ChoiceField(list(HOURS), required=False)
    type = serializers.ChoiceField(Instrument.Type.values, required=False)


class InstrumentDocument(Shape):
    """Prices in rupees. `lastPriceAge` in seconds; price and age are absent when none is known."""

    exchange = serializers.CharField()
    symbol = serializers.CharField()
    name = serializers.CharField()
    type = serializers.ChoiceField(Instrument.Type.values)
    segment = serializers.CharField()
    tradable = serializers.BooleanField()
    tick_size = ExactDecimal()
    lot_size = serializers.IntegerField()
    freeze_quantity = ExactDecimal(places=0, required=False)
    lower_circuit = ExactDecimal(required=False)
    upper_circuit = ExactDecimal(required=False)
    previous_close = ExactDecimal(required=False)
    strike = ExactDecimal(required=False)
    expiry = serializers.DateField(required=False)
    last_price = ExactDecimal(required=False)
    last_price_at = serializers.DateTimeField(required=False)
    last_price_age = ExactDecimal(required=False)
    updated_at = serializers.DateTimeField()


class InstrumentPage(Page):
    content = InstrumentDocument(many=True)


class InstrumentsView(ApiView):
    @extend_schema(
        operation_id="listInstruments", tags=["Instruments"], parameters=[InstrumentQuery], responses=InstrumentPage
    )
    def get(self, request: Request) -> HttpResponse:
        """Search by symbol, name, exchange and type."""
        query = InstrumentQuery.read_query(request.query_params)
        wanted = Q()
        for name, lookup in {
            "symbol": "symbol__startswith", "name": "name__icontains", "exchange": "exchange", "type": "type"
        }.items():  # fmt: skip
            if name in query:
                wanted &= Q(**{lookup: query[name].upper() if name == "symbol" else query[name]})
        found = Instrument.objects.filter(wanted).order_by("symbol", "exchange")
        return json_response(page_of(found, query, _documents))


class InstrumentView(ApiView):
    @extend_schema(operation_id="getInstrument", tags=["Instruments"], responses=InstrumentDocument)
    def get(self, request: Request, exchange: str, symbol: str) -> HttpResponse:
        """One instrument with its last price and how old that is."""
        instrument = Instrument.objects.filter(exchange=exchange, symbol=symbol).first()
        if instrument is None:
            raise Http404
        return json_response(_documents([instrument])[0])


def _documents(instruments: list[Instrument]) -> list[Document]:
    now = clock.now()
    prices = get_prices([instrument.pk for instrument in instruments], at=now)
    return [_document(instrument, prices.get(instrument.pk), now) for instrument in instruments]


def _document(instrument: Instrument, last: LastPrice | None, now: datetime) -> Document:
    document: Document = {
        "exchange": instrument.exchange,
        "symbol": instrument.symbol,
        "name": instrument.name,
        "type": instrument.type,
        "segment": instrument.segment,
        "tradable": instrument.is_tradable,
        "tickSize": instrument.tick_size,
        "lotSize": instrument.lot_size,
        "updatedAt": instrument.updated_at,
    }
    optional = {
        "freezeQuantity": instrument.freeze_quantity,
        "lowerCircuit": instrument.lower_circuit,
        "upperCircuit": instrument.upper_circuit,
        "previousClose": instrument.previous_close,
        "strike": instrument.strike,
        "expiry": instrument.expiry,
    }
    if last is not None:
        optional |= {"lastPrice": last.price, "lastPriceAt": last.at, "lastPriceAge": age(last.at, now)}
    document.update((name, value) for name, value in optional.items() if value is not None)
    return document


def age(since: datetime, now: datetime) -> Decimal:
    """Seconds to the millisecond; never negative, whatever another machine's clock says."""
    return max(Decimal(0), Decimal((now - since).total_seconds()).quantize(_MILLISECOND))
