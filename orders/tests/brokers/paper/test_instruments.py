"""What can be traded at the exchange: the list that comes with it, bands, freeze quantities, and how rows are read."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.instruments import DEFAULT_FILE, Catalogue, Instrument

CATALOGUE = Catalogue.read()
EVERY = list(CATALOGUE.by_token.values())
SBIN, FUTURE, CALL, INDEX = (
    CATALOGUE.by_key[key] for key in ("NSE:SBIN", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE", "NSE:NIFTY 50")
)


def test_the_list_is_one_of_keys_and_tokens_that_are_given_once() -> None:
    rows = DEFAULT_FILE.read_text(encoding="utf-8").strip().count("\n")
    assert len(CATALOGUE.by_key) == len(CATALOGUE.by_token) == rows
    assert {(one.is_index, one.is_equity, one.expiry is not None) for one in EVERY} == {
        (True, False, False), (False, True, False), (False, False, True),
    }  # fmt: skip


@pytest.mark.parametrize("instrument", [SBIN, FUTURE, CALL, INDEX], ids=lambda one: one.key)
@given(st.integers(1, 100_000))
def test_a_band_is_on_the_tick_and_has_the_close_in_it(instrument: Instrument, ticks: int) -> None:
    tick = max(1, instrument.tick_size)
    close = ticks * tick
    low, high = instrument.band(close)
    assert 0 < low <= close <= high
    assert low % tick == high % tick == 0
    if not instrument.is_option:
        assert close - low <= close // 10
        assert high - close <= close // 10


@pytest.mark.parametrize(
    ("instrument", "close", "band"),
    [
        (SBIN, 1000_00, (900_00, 1100_00)),
        (SBIN, 1000_05, (900_05, 1100_05)),
        (FUTURE, 26_000_00, (23_400_00, 28_600_00)),
        (CALL, 200_00, (5, 1500_00)),  # half of the strike's tenth, down to one tick
        (CALL, 2000_00, (5, 4000_00)),
    ],
)
def test_bands(instrument: Instrument, close: int, band: tuple[int, int]) -> None:
    assert instrument.band(close) == band


def test_what_a_contract_follows_is_listed_too() -> None:
    followed = {one.underlying for one in EVERY if one.underlying is not None}
    assert followed <= CATALOGUE.by_key.keys()
    assert (FUTURE.underlying, SBIN.underlying) == ("NSE:NIFTY 50", None)


def test_an_order_of_the_freeze_quantity_is_whole_lots() -> None:
    for instrument in EVERY:
        if instrument.expiry is not None:
            assert instrument.freeze_quantity >= instrument.lot_size, instrument.key


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_a_contract_is_found_to_the_end_of_its_last_day(days: int) -> None:
    assert FUTURE.expiry is not None
    found = CATALOGUE.find("NFO", FUTURE.tradingsymbol, FUTURE.expiry + timedelta(days=days))
    assert found == (FUTURE if days <= 0 else None)


@pytest.mark.parametrize(("exchange", "symbol"), [("NSE", "sbin"), ("BSE", "SBIN"), ("", "SBIN"), ("NSE", "")])
def test_only_the_exact_name_is_found(exchange: str, symbol: str) -> None:
    assert CATALOGUE.find(exchange, symbol, date(2026, 11, 20)) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("instrument_token", "x"), ("lot_size", "1.5"), ("tick_size", "0.001"), ("last_price", ""),
        ("expiry", "26NOV"), ("strike", "many"),
    ],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_named_by_its_line(tmp_path: Path, column: str, value: str) -> None:
    header, *rows = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()[:3]
    fields = dict(zip(header.split(","), rows[1].split(","), strict=True)) | {column: value}
    file = tmp_path / "mine.csv"
    file.write_text("\n".join([header, rows[0], ",".join(fields.values())]), encoding="utf-8")
    with pytest.raises(ValueError, match=r"mine\.csv line 3"):
        Catalogue.read(file)
