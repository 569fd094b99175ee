"""Instruments after a dump and after quotes, as a screening rule would find them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from ledger.market.prices import get_prices
from ledger.models import Instrument
from ledger.services.instruments import SyncResult, apply_quotes, list_quotable, sync_instruments
from orders.brokers.base import InstrumentRow, Quote

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
LATER = AT + timedelta(days=1)
INFY = InstrumentRow(
    token="408065", exchange="NSE", symbol="INFY", name="INFOSYS", type="EQ", segment="NSE", tick_size=Decimal("0.10"),
    lot_size=1, strike=None, expiry=None, last_price=Decimal("1545.20"),
)  # fmt: skip
CALL = replace(
    INFY, token="9", exchange="NFO", symbol="NIFTY26NOV26000CE", type="CE", segment="NFO-OPT", tick_size=Decimal("0.05"),
    lot_size=65, strike=Decimal(26000), expiry=date(2026, 11, 24),
)  # fmt: skip
INDEX = replace(
    INFY, token="256265", symbol="NIFTY 50", type="INDEX", segment="INDICES", tick_size=Decimal(0), lot_size=0
)
QUOTE = Quote(
    exchange="NSE", symbol="INFY", last_price=Decimal("1550.5"), lower_circuit=Decimal("1390.7"),
    upper_circuit=Decimal("1699.7"), previous_close=Decimal("1545.2"), at=AT - timedelta(seconds=3),
)  # fmt: skip

pytestmark = pytest.mark.django_db


def get(symbol):
    return Instrument.objects.get(symbol=symbol)


def test_a_dump_is_taken_over():
    assert sync_instruments("KITE", [INFY, CALL, INDEX], at=AT) == SyncResult(listed=3, retired=0)
    call = get("NIFTY26NOV26000CE")
    assert (call.exchange, call.type, call.lot_size, call.strike, call.expiry) == (
        "NFO",
        "CE",
        65,
        26000,
        date(2026, 11, 24),
    )
    assert call.tick_size == Decimal("0.05")
    assert call.is_tradable
    index = get("NIFTY 50")
    assert (index.type, index.is_tradable) == ("INDEX", False)


def test_a_second_dump_changes_what_changed_and_keeps_what_no_dump_knows():
    sync_instruments("KITE", [INFY], at=AT)
    Instrument.objects.update(freeze_quantity=1800, upper_circuit=Decimal("1699.7"))
    before = get("INFY").pk
    sync_instruments("KITE", [replace(INFY, tick_size=Decimal("0.05"))], at=LATER)
    after = get("INFY")
    assert (after.pk, after.tick_size, after.updated_at) == (before, Decimal("0.05"), LATER)
    assert (after.freeze_quantity, after.upper_circuit) == (1800, Decimal("1699.7"))


def test_what_is_no_longer_listed_can_no_longer_be_traded_and_may_come_back():
    sync_instruments("KITE", [INFY, CALL], at=AT)
    other = replace(CALL, token="10", symbol="NIFTY26DEC26000CE")
    assert sync_instruments("KITE", [other], at=LATER) == SyncResult(listed=1, retired=1)
    assert not get("NIFTY26NOV26000CE").is_tradable
    assert get("INFY").is_tradable, "the dump was NFO's alone"
    sync_instruments("KITE", [CALL, other], at=LATER + timedelta(days=1))
    assert get("NIFTY26NOV26000CE").is_tradable


def test_an_empty_dump_retires_nothing():
    sync_instruments("KITE", [INFY], at=AT)
    assert sync_instruments("KITE", [], at=LATER) == SyncResult(listed=0, retired=0)
    assert get("INFY").is_tradable


@pytest.mark.parametrize(
    "odd",
    [
        replace(INFY, exchange="NSEIX", symbol="USDINR"),
        replace(INFY, exchange="GLOBAL", symbol="DOW JONES"),
        replace(INFY, symbol="X" * 41),
        replace(INFY, symbol="ODD", type="WARRANT"),
        replace(INFY, symbol="ODD", segment="A SEGMENT TOO LONG"),
    ],
    ids=["foreign", "global", "symbol", "type", "segment"],
)
def test_a_row_that_is_not_for_us_holds_up_no_other(odd):
    assert sync_instruments("KITE", [odd, INFY, CALL], at=AT) == SyncResult(listed=2, retired=0)
    assert set(Instrument.objects.values_list("symbol", flat=True)) == {"INFY", CALL.symbol}


def test_a_row_that_comes_twice_counts_once():
    assert sync_instruments("KITE", [INFY, replace(INFY, lot_size=2)], at=AT).listed == 1
    assert get("INFY").lot_size == 2


def test_a_large_dump_takes_few_statements(django_assert_max_num_queries):
    rows = [replace(INFY, token=str(n), symbol=f"SYM{n}") for n in range(5000)]
    with django_assert_max_num_queries(12):
        sync_instruments("KITE", rows, at=AT)
    assert Instrument.objects.count() == 5000


def test_quotes_bring_bands_closes_and_prices(django_assert_num_queries):
    sync_instruments("KITE", [INFY, INDEX], at=AT)
    assert apply_quotes([QUOTE, replace(QUOTE, symbol="NOT HERE")], at=AT) == 1
    infy = get("INFY")
    assert (infy.lower_circuit, infy.upper_circuit) == (Decimal("1390.7"), Decimal("1699.7"))
    assert infy.previous_close == Decimal("1545.2")
    last = get_prices([infy.pk], at=AT)[infy.pk]
    assert (last.price, last.at) == (Decimal("1550.5"), AT), "the age is the quote's, not the last trade's"
    with django_assert_num_queries(1):
        assert apply_quotes([replace(QUOTE, last_price=Decimal(1551))], at=LATER) == 0
    assert get_prices([infy.pk], at=AT)[infy.pk].price == 1551


def test_a_quote_without_a_trade_counts_as_of_now_and_one_without_a_price_not_at_all():
    sync_instruments("KITE", [INFY, CALL], at=AT)
    apply_quotes(
        [replace(QUOTE, at=None), replace(QUOTE, exchange="NFO", symbol=CALL.symbol, last_price=Decimal(0))], at=AT
    )
    assert get_prices([get("INFY").pk, get(CALL.symbol).pk], at=AT) == {
        get("INFY").pk: get_prices([get("INFY").pk], at=AT)[get("INFY").pk]
    }
    assert get_prices([get("INFY").pk], at=AT)[get("INFY").pk].at == AT


def test_the_same_symbol_on_two_exchanges_keeps_two_prices():
    sync_instruments("KITE", [INFY, replace(INFY, exchange="BSE", token="1")], at=AT)
    apply_quotes([QUOTE, replace(QUOTE, exchange="BSE", last_price=Decimal(1551))], at=AT)
    prices = {i.exchange: get_prices([i.pk], at=AT)[i.pk].price for i in Instrument.objects.all()}
    assert prices == {"NSE": Decimal("1550.5"), "BSE": Decimal(1551)}


def test_quotes_are_asked_first_for_what_somebody_needs():
    sync_instruments("KITE", [INFY, CALL, INDEX], at=AT)
    wanted = get(CALL.symbol).pk
    assert list_quotable([wanted], limit=2)[0] == ("NFO", CALL.symbol)
    assert set(list_quotable([wanted])) == {("NFO", CALL.symbol), ("NSE", "INFY")}


def test_every_instrument_has_its_turn_however_many_are_in_use():
    sync_instruments("KITE", [replace(INFY, token=str(n), symbol=f"SYM{n:02}") for n in range(30)], at=AT)
    in_use = list(Instrument.objects.filter(symbol__lt="SYM20").values_list("pk", flat=True))
    asked = [list_quotable(in_use, limit=10) for _ in range(11)]
    assert all(len(names) == len(set(names)) == 10 for names in asked)
    assert {symbol for names in asked for _, symbol in names} == {f"SYM{n:02}" for n in range(30)}


def test_what_somebody_asked_for_in_vain_is_quoted_next_and_stays():
    sync_instruments("KITE", [INDEX, *(replace(INFY, token=str(n), symbol=f"SYM{n:02}") for n in range(30))], at=AT)
    last, index = get("SYM29").pk, get("NIFTY 50").pk
    assert ("NSE", "SYM29") not in list_quotable(limit=10)
    assert get_prices([last, index], at=AT) == {}
    for _ in range(2):
        assert {("NSE", "SYM29"), ("NSE", "NIFTY 50")} <= set(list_quotable(limit=10))
    assert len(list_quotable([last], limit=10)) == 10, "nothing is asked for twice"


def test_what_can_no_longer_be_traded_is_wanted_in_vain():
    sync_instruments("KITE", [INFY, replace(CALL, symbol="GONE")], at=AT)
    sync_instruments("KITE", [INFY, CALL], at=LATER)
    get_prices([get("GONE").pk], at=AT)
    assert set(list_quotable()) == {("NSE", "INFY"), ("NFO", CALL.symbol)}
