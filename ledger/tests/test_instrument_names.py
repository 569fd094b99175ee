"""One contract under several brokers' names: what is taken for the same, what is not, and what is struck off."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from ledger.models import BrokerInstrument, Instrument
from ledger.selectors import names_at
from ledger.services.instruments import SyncResult, sync_instruments
from orders.brokers.base import InstrumentRow

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
LATER = AT + timedelta(days=1)
SHARE = InstrumentRow(
    token="408065", exchange="NSE", symbol="INFY", name="INFOSYS", type="EQ", segment="NSE", tick_size=Decimal("0.10"),
    lot_size=1, strike=None, expiry=None, last_price=Decimal("1545.20"), exchange_token=1594,
)  # fmt: skip
CALL = replace(
    SHARE, token="9", exchange="NFO", symbol="NIFTY26NOV26000CE", name="NIFTY", type="CE", segment="NFO-OPT",
    lot_size=65, strike=Decimal(26000), expiry=date(2026, 11, 24), exchange_token=40002,
)  # fmt: skip
PUT = replace(CALL, token="10", symbol="NIFTY26NOV26000PE", type="PE", exchange_token=40003)
THEIR_SHARE = replace(SHARE, token="e:1594", symbol="INFY-EQ", name="Infosys Ltd")
THEIR_CALL = replace(CALL, token="o:1", symbol="NIFTY 24NOV26 26000 C", exchange_token=0)


def house():
    return dict(Instrument.objects.order_by("symbol").values_list("symbol", "is_tradable"))


def names(kind):
    rows = BrokerInstrument.objects.filter(kind=kind, is_listed=True).order_by("symbol")
    return dict(rows.values_list("symbol", "instrument__symbol"))


def test_two_spellings_of_a_contract_are_one_instrument():
    sync_instruments("ONE", [SHARE, CALL, PUT], at=AT)
    assert sync_instruments("TWO", [THEIR_SHARE, THEIR_CALL], at=LATER) == SyncResult(listed=2, retired=0)
    assert house() == {"INFY": True, CALL.symbol: True, PUT.symbol: True}
    assert names("TWO") == {"INFY-EQ": "INFY", THEIR_CALL.symbol: CALL.symbol}
    assert sorted(names_at("TWO", with_tokens=False)) == [
        ("NFO", CALL.symbol, THEIR_CALL.symbol, "o:1"), ("NSE", "INFY", "INFY-EQ", "e:1594"),
    ]  # fmt: skip


def test_who_spells_as_we_do_needs_no_translation_but_may_need_tokens():
    sync_instruments("ONE", [SHARE], at=AT)
    assert names_at("ONE", with_tokens=False) == []
    assert names_at("ONE", with_tokens=True) == [("NSE", "INFY", "INFY", "408065")]


@pytest.mark.parametrize(
    "other",
    [
        replace(THEIR_CALL, strike=Decimal(26100)),
        replace(THEIR_CALL, expiry=date(2026, 12, 29)),
        replace(THEIR_CALL, type="PE"),
        replace(THEIR_CALL, name="BANKNIFTY"),
        replace(THEIR_CALL, exchange="BFO"),
        replace(THEIR_SHARE, exchange_token=1595),
        replace(THEIR_SHARE, exchange_token=0),
        replace(THEIR_SHARE, exchange="BSE"),
    ],
    ids=["strike", "expiry", "type", "underlying", "exchange", "number", "no number", "other exchange"],
)
def test_what_differs_in_anything_is_another_instrument(other):
    sync_instruments("ONE", [SHARE, CALL], at=AT)
    sync_instruments("TWO", [other], at=AT)
    assert names("TWO") == {other.symbol: other.symbol}
    assert Instrument.objects.count() == 3


def test_no_dump_retires_what_another_broker_lists():
    sync_instruments("ONE", [SHARE, CALL], at=AT)
    sync_instruments("TWO", [THEIR_CALL], at=AT)
    assert sync_instruments("ONE", [SHARE, PUT], at=LATER).retired == 0
    assert names("ONE") == {"INFY": "INFY", PUT.symbol: PUT.symbol}
    assert house()[CALL.symbol], "the second broker lists it still"
    assert sync_instruments("TWO", [replace(THEIR_CALL, symbol="OTHER", strike=Decimal(1))], at=LATER).retired == 1
    assert not house()[CALL.symbol]


def test_a_name_that_was_used_before_keeps_its_instrument_whatever_changes():
    sync_instruments("ONE", [SHARE, CALL], at=AT)
    sync_instruments("TWO", [THEIR_CALL], at=AT)
    moved = date(2026, 11, 23)
    sync_instruments("TWO", [replace(THEIR_CALL, expiry=moved)], at=LATER)
    assert names("TWO") == {THEIR_CALL.symbol: CALL.symbol}
    assert Instrument.objects.get(symbol=CALL.symbol).expiry == moved


def test_a_name_that_means_something_else_here_is_passed_over():
    sync_instruments("ONE", [SHARE, CALL], at=AT)
    sync_instruments("TWO", [replace(CALL, strike=Decimal(1)), THEIR_SHARE], at=LATER)
    assert Instrument.objects.get(symbol=CALL.symbol).strike == 26000
    assert names("TWO") == {"INFY-EQ": "INFY"}


def test_a_contract_that_is_there_twice_is_told_apart_by_name_alone():
    twin = replace(CALL, symbol="NIFTY26NOV26000CE-ADJ", token="11")
    sync_instruments("ONE", [CALL, twin], at=AT)
    sync_instruments("TWO", [THEIR_CALL], at=AT)
    assert names("TWO") == {THEIR_CALL.symbol: THEIR_CALL.symbol}
    sync_instruments("THREE", [THEIR_CALL, replace(THEIR_CALL, symbol="AGAIN")], at=AT)
    assert len(names("THREE")) == 2


def test_the_same_brokers_new_name_is_a_new_instrument():
    sync_instruments("ONE", [SHARE], at=AT)
    assert sync_instruments("ONE", [replace(SHARE, symbol="INFOSYS")], at=LATER) == SyncResult(listed=1, retired=1)
    assert house() == {"INFOSYS": True, "INFY": False}


def test_a_second_brokers_whole_dump_takes_few_statements(django_assert_max_num_queries):
    rows = [
        replace(SHARE, token=str(n), symbol=f"SYM{n}", exchange_token=n) for n in range(1, 3001)
    ]  # fmt: skip
    sync_instruments("ONE", rows, at=AT)
    theirs = [replace(row, symbol=f"{row.symbol}-EQ") for row in rows]
    with django_assert_max_num_queries(12):
        sync_instruments("TWO", theirs, at=AT)
    assert Instrument.objects.count() == 3000
    assert len(names_at("TWO", with_tokens=False)) == 3000
