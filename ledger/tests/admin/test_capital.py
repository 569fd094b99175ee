"""The pages of capital, positions and rates: sums as they are, searches that find one thing, percentages for people."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from compliance.models import Account
from ledger.admin.positions import gain
from ledger.market.prices import set_prices
from ledger.models import AssetTransaction, CapitalAccount, CapitalEntry, ChargeRate, Instrument, MarginRate, Position
from oms.lib.admin.formats import rupees
from oms.lib.clock import now
from orders.models import Order
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus, Side

WHY = "because a test says so"


def url(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.fixture
def desk(operator: User, client: Client) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def traded(portfolio: CapitalAccount, sbin: Instrument) -> Order:
    """Ten bought at 1000, all sold again at 1010: a flat position with a profit; and five held of INFY's kind."""
    bought = send(place())
    bought = see(bought, BrokerStatus.COMPLETE, [trade(bought, 1, 10, 1000)])
    sold = send(place(side=Side.SELL, price=D(1005)))
    see(sold, BrokerStatus.COMPLETE, [trade(sold, 2, 10, 1010)])
    held = send(place(product="MIS", quantity=D(5)))
    see(held, BrokerStatus.COMPLETE, [trade(held, 3, 5, 1000)])
    return fresh(bought)


def press(client: Client, address: str, **fields: Any) -> Any:
    return client.post(address, {"_form_submitted": "on", "reason": WHY, **fields}, headers={"HX-Request": "true"})


def listed(client: Client, model: type[Any], **query: str) -> list[Any]:
    return list(client.get(url(model, "changelist"), query).context["cl"].result_list)


def page(client: Client, row: Any) -> str:
    answer = client.get(url(type(row), "change", row.pk))
    assert answer.status_code == 200
    return answer.content.decode()


class TestPortfolios:
    def test_the_page_shows_the_buckets_their_sum_and_the_latest_entries(self, desk: Client, traded: Order) -> None:
        portfolio = CapitalAccount.objects.get()
        answer = desk.get(url(CapitalAccount, "change", portfolio.pk))
        text = answer.content.decode()
        for amount in (portfolio.free, portfolio.reserved, portfolio.allocated, portfolio.free + portfolio.allocated):
            assert rupees(amount) in text
        assert answer.context["total"] == portfolio.free + portfolio.reserved + portfolio.allocated
        assert [entry.seq for entry in answer.context["entries"]] == list(range(portfolio.entry_seq, 0, -1))[:20]

    def test_a_new_one_is_opened_with_nothing_in_it(self, desk: Client, account: Account) -> None:
        answer = press(desk, url(CapitalAccount, "open_portfolio"), account=account.pk, code="DEMO-2", name="Second")
        opened = CapitalAccount.objects.get(code="DEMO-2")
        assert answer.headers["HX-Redirect"] == url(CapitalAccount, "change", opened.pk)
        assert (opened.account, opened.free, opened.entry_seq) == (account, 0, 0)

    @pytest.mark.parametrize("code", ["DEMO-1", "with space", "a/b", "", "x" * 37])
    def test_a_code_that_cannot_be_is_told_at_its_field(
        self, desk: Client, account: Account, portfolio: CapitalAccount, code: str
    ) -> None:
        answer = press(desk, url(CapitalAccount, "open_portfolio"), account=account.pk, code=code, name="Second")
        assert "code" in answer.context["form"].errors
        assert CapitalAccount.objects.count() == 1

    def test_a_deposit_says_what_is_there_now_and_above_the_limit_one_person_may_not(
        self, desk: Client, portfolio: CapitalAccount, settings: Any
    ) -> None:
        settings.DEPOSIT_LIMIT = D(1000)
        address = url(CapitalAccount, "deposit", portfolio.pk)
        answer = press(desk, address, key=uuid4(), amount="1000.01")
        assert "split it with a second operator" in answer.content.decode()
        assert "HX-Redirect" in press(desk, address, key=uuid4(), amount="1000").headers
        portfolio.refresh_from_db()
        assert portfolio.free == 1_001_000
        assert "₹10,01,000.00 free" in desk.get("/admin/").content.decode()


class TestEntries:
    def test_an_order_an_entry_or_a_key_finds_what_it_names(self, desk: Client, traded: Order) -> None:
        of_order = listed(desk, CapitalEntry, q=str(traded.pk))
        assert {entry.order_id for entry in of_order} == {traded.pk}
        assert len(of_order) == CapitalEntry.objects.filter(order_id=traded.pk).count() > 2
        assert listed(desk, CapitalEntry, q=str(of_order[0].pk)) == [of_order[0]]
        deposit = CapitalEntry.objects.get(kind="DEPOSIT")
        assert listed(desk, CapitalEntry, q=deposit.key) == [deposit]
        assert listed(desk, CapitalEntry, q=str(uuid4())) == listed(desk, CapitalEntry, q="DEPOSIT") == []

    def test_filters_narrow(self, desk: Client, traded: Order) -> None:
        for kind in ("RESERVE", "CHARGE", "REALISE"):
            rows = listed(desk, CapitalEntry, kind__exact=kind)
            assert {row.kind for row in rows} == {kind}
            assert len(rows) == CapitalEntry.objects.filter(kind=kind).count()

    def test_a_page_says_from_where_to_where_and_why(self, desk: Client, traded: Order) -> None:
        entry = CapitalEntry.objects.get(kind="REALISE")
        text = page(desk, entry)
        assert "outside → free" in text
        assert rupees(entry.amount) in text
        assert str(entry.order_id) in text


class TestPositions:
    @pytest.mark.parametrize(("chosen", "products"), [("", ["MIS"]), ("closed", ["CNC"]), ("all", ["MIS", "CNC"])])
    def test_what_is_held_first(self, desk: Client, traded: Order, chosen: str, products: list[str]) -> None:
        rows = listed(desk, Position, **({"open": chosen} if chosen else {}))
        assert [row.product for row in rows] == products

    def test_the_symbol_filter_takes_any_case(self, desk: Client, traded: Order) -> None:
        assert len(listed(desk, Position, instrument__symbol="sbin", open="all")) == 2
        assert listed(desk, Position, instrument__symbol="SBI", open="all") == []

    def test_a_profit_is_green_and_a_loss_is_red(self) -> None:
        assert "oms-gain" in gain(D("0.01"))
        assert "oms-loss" in gain(D("-0.01"))
        assert "oms-flat" in gain(D(0))

    def test_bookings_are_found_by_their_order_and_say_what_was_made(self, desk: Client, traded: Order) -> None:
        [booking] = listed(desk, AssetTransaction, q=str(traded.pk))
        assert (booking.order_id, booking.side, booking.quantity) == (traded.pk, "BUY", 10)
        [sale] = AssetTransaction.objects.filter(side="SELL")
        assert rupees(D(100)) in page(desk, sale)
        assert "NSE:SBIN" in page(desk, sale)


class TestInstruments:
    @pytest.mark.parametrize(
        ("term", "symbols"),
        [
            ("sbin", ["SBIN"]),
            ("NSE:SB", ["SBIN"]),
            ("B", ["SBIN"]),
            ("BSE:SBIN", []),
            ("", ["INFY", "SBIN"]),
            ("%", []),
        ],
    )
    def test_they_are_found_by_exchange_and_part_of_the_symbol(
        self, desk: Client, sbin: Instrument, infy: Instrument, term: str, symbols: list[str]
    ) -> None:
        assert [row.symbol for row in listed(desk, Instrument, **({"q": term} if term else {}))] == symbols

    def test_a_page_says_the_last_price_and_when(self, desk: Client, sbin: Instrument) -> None:
        assert "₹971.65" not in page(desk, sbin)
        set_prices({sbin.pk: (D("971.65"), now() - timedelta(minutes=5))})
        text = page(desk, sbin)
        assert "₹971.65" in text
        assert "IST" in text


def test_rates_are_read_as_percentages_with_their_source(desk: Client) -> None:
    charge, margin = ChargeRate.objects.get(instrument_type="EQ", product="CNC"), MarginRate.objects.first()
    assert margin is not None
    text = page(desk, charge)
    assert "0.1 %" in text, "STT of delivery"
    assert "18 %" in text
    assert charge.source in text
    assert f"{(margin.rate * 100).normalize():f} %" in page(desk, margin)
    for model in (ChargeRate, MarginRate):
        assert len(listed(desk, model)) == min(model.objects.count(), 50)  # type: ignore[attr-defined]
