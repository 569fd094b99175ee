"""Small parts as tables: charges, margins, protection, clock, ids, limits, instruments, options."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orders.brokers.paper import config
from orders.brokers.paper.charges import charges_of
from orders.brokers.paper.clock import IST, Clock
from orders.brokers.paper.errors import InputError, NetworkError
from orders.brokers.paper.identifiers import Identifiers
from orders.brokers.paper.instrument_list import monthly_expiries
from orders.brokers.paper.instruments import Catalogue
from orders.brokers.paper.limits import Limits
from orders.brokers.paper.margins import order_margin, position_margin
from orders.brokers.paper.money import read_rupees, to_rupees
from orders.brokers.paper.protection import percentage, protected_price

CATALOGUE = Catalogue.read()
SBIN, FUTURE, CALL = (CATALOGUE.by_key[key] for key in ("NSE:SBIN", "NFO:NIFTY26NOVFUT", "NFO:NIFTY26NOV26000CE"))


@pytest.mark.parametrize(
    ("key", "product", "side", "turnover", "brokerage", "tax", "stamp"),
    [
        ("NSE:SBIN", "CNC", "BUY", 10_000_000, "0", "100", "15"),
        ("NSE:SBIN", "CNC", "SELL", 10_000_000, "0", "100", "0"),
        ("NSE:SBIN", "MIS", "BUY", 1_000_000, "3", "0", "0.3"),
        ("NSE:SBIN", "MIS", "SELL", 10_000_000, "20", "25", "0"),
        ("NFO:NIFTY26NOVFUT", "NRML", "SELL", 10_000_000, "20", "50", "0"),
        ("NFO:NIFTY26NOV26000CE", "NRML", "BUY", 100_000, "20", "0", "0.03"),
        ("NSE:SBIN", "MIS", "BUY", 0, "0", "0", "0"),
    ],
)
def test_the_rate_card(key: str, product: str, side: str, turnover: int, brokerage: str, tax: str, stamp: str) -> None:
    charges = charges_of(CATALOGUE.by_key[key], product, side, turnover)
    assert (charges.brokerage, charges.transaction_tax, charges.stamp_duty) == (
        Decimal(brokerage),
        Decimal(tax),
        Decimal(stamp),
    )
    fees = charges.brokerage + charges.exchange_turnover_charge + charges.sebi_turnover_charge
    assert abs(charges.gst - fees * Decimal("0.18")) < Decimal("0.0001")


def test_a_charge_never_falls_as_an_order_fills() -> None:
    for product in ("CNC", "MIS"):
        booked = [charges_of(SBIN, product, "BUY", turnover).paise for turnover in range(0, 10**8, 10**6)]
        assert booked == sorted(booked)


def test_positions_hold_margin_for_what_is_open() -> None:
    assert position_margin(SBIN, "CNC", 10, 1000).total == 0
    assert position_margin(SBIN, "MIS", -10, 1_000_00).total == 200_00
    assert position_margin(CALL, "NRML", 65, 1_000_00).total == 0
    assert position_margin(CALL, "NRML", -65, 1_000_00).total == 65 * CALL.strike * 15 // 100
    assert order_margin(FUTURE, "NRML", True, 65, 0, 26_000_00).total == 0


@pytest.mark.parametrize(
    ("key", "price", "percent"),
    [
        ("NSE:SBIN", 99_00, 2),
        ("NSE:SBIN", 100_00, 1),
        ("NSE:SBIN", 500_00, "0.5"),
        ("NFO:NIFTY26NOV26000CE", 9_00, 5),
        ("NFO:NIFTY26NOV26000CE", 10_00, 3),
        ("NFO:NIFTY26NOV26000CE", 100_00, 2),
        ("NFO:NIFTY26NOV26000CE", 500_00, 1),
    ],
)
def test_automatic_protection_depends_on_the_price(key: str, price: int, percent: object) -> None:
    assert percentage(CATALOGUE.by_key[key], Decimal(-1), price) == Decimal(str(percent))


@pytest.mark.parametrize("asked", ["0", "-2", "100.1"])
def test_protection_out_of_range_is_refused(asked: str) -> None:
    with pytest.raises(InputError):
        percentage(SBIN, Decimal(asked), 100_00)


def test_a_protected_price_is_on_the_tick_and_in_the_band() -> None:
    band = (900_00, 1000_00)
    assert protected_price(SBIN, True, Decimal(1), 970_05, band) == 979_75
    assert protected_price(SBIN, False, Decimal(1), 970_05, band) == 960_35
    assert protected_price(SBIN, True, Decimal(50), 970_05, band) == 1000_00


@pytest.mark.parametrize(
    ("mode", "moment", "expected"),
    [
        ("open", "2026-11-22T03:00", True),
        ("closed", "2026-11-23T11:00", False),
        ("market", "2026-11-23T09:14:59", False),
        ("market", "2026-11-23T09:15", True),
        ("market", "2026-11-23T15:29:59", True),
        ("market", "2026-11-23T15:30", False),
        ("market", "2026-11-22T11:00", False),
        ("market", "2026-11-24T11:00", False),
    ],
)
def test_sessions(mode: str, moment: str, expected: bool) -> None:
    clock = Clock()
    clock.set(mode=mode, now=datetime.fromisoformat(moment), frozen=True, holidays=[date(2026, 11, 24)])
    assert clock.is_open() is expected
    again = Clock()
    again.restore(clock.state())
    assert (again.now(), again.is_open()) == (clock.now(), expected)
    assert clock.now().tzinfo == IST


def test_ids_rise_and_stay_above_those_of_before_a_restart() -> None:
    ids = Identifiers()
    given = [ids.order_id() for _ in range(1000)]
    assert given == sorted(set(given))
    assert {len(number) for number in given} == {19}
    later = str(int(given[-1]) + 10**12)
    assert Identifiers(int(later)).order_id() > later


def test_limits_count_per_client_and_day() -> None:
    limits = Limits(orders_per_second=0, orders_per_minute=0, orders_per_day=2)
    limits.resume("A", "2026-11-23", 1)
    limits.count_order("A", "2026-11-23")
    with pytest.raises(NetworkError):
        limits.count_order("A", "2026-11-23")
    limits.count_order("B", "2026-11-23")
    limits.count_order("A", "2026-11-24")
    limits.add_to_day("A", 1)
    with pytest.raises(NetworkError):
        limits.count_order("A", "2026-11-24")


def test_the_monthly_expiry_is_the_last_tuesday_or_the_trading_day_before() -> None:
    assert monthly_expiries(date(2026, 11, 21), 3) == [date(2026, 11, 24), date(2026, 12, 29), date(2027, 1, 25)]


def test_an_expired_contract_is_not_found() -> None:
    assert CATALOGUE.find("NFO", "NIFTY26NOVFUT", date(2026, 11, 24)) is FUTURE
    assert CATALOGUE.find("NFO", "NIFTY26NOVFUT", date(2026, 11, 25)) is None


def test_a_bad_instrument_file_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("instrument_token,exchange_token\n1,x\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"list\.csv line 2"):
        Catalogue.read(file)


@pytest.mark.parametrize(("value", "paise"), [(970, 97000), ("970.05", 97005), (0.1 + 0.2, None), ("x", None)])
def test_rupees_are_read_exactly_or_not_at_all(value: object, paise: int | None) -> None:
    if paise is None:
        with pytest.raises(ValueError, match="rupees|paise"):
            read_rupees(value)
    else:
        assert read_rupees(value) == paise
        assert to_rupees(paise) == float(str(value))


def test_options_come_from_the_environment_and_the_command_line() -> None:
    read = config.read(["--port", "9000"], {"PAPER_HOME": "h", "PAPER_PORT": "1", "PAPER_RATE_LIMITS": "no"})
    assert (str(read.home), read.port, read.rate_limits, read.clock) == ("h", 9000, False, "open")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--home"),
        (["--home", "h", "--clock", "lunch"], "--clock"),
        (["--home", "h", "--port", "x"], "--port"),
        (["--home", "h", "--port", "70000"], "--port"),
        (["--home", "h", "--candles", "none.csv"], "--candles"),
    ],
)
def test_options_that_do_not_fit_are_named(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        config.read(arguments, {})
    assert words in capsys.readouterr().err
