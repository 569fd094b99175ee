"""The pages of orders and of the facts around them: what one row says at a glance, and what may be pressed."""

from decimal import Decimal as D
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from ledger.models import Instrument
from oms.lib.clock import now
from orders.admin.executions import pretty, wanted_terms
from orders.admin.orders import OrderAdmin
from orders.admin.tones import AMENDMENT_TONES, SESSION_TONES, SIDE_TONES, SOURCE_TONES, STATE_TONES
from orders.models import Amendment, BrokerAccount, BrokerMessage, Execution, Order
from orders.services.amendments.asking import request_modify
from orders.states import AmendmentState, State
from orders.tests.factories import TRADER, fresh, place, see, send, trade
from orders.types import BrokerStatus, Modification, Refused, Side

HOSTILE = "<script>alert(1)</script>"


def url(model: type[Any], name: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.fixture
def desk(operator: User, client: Client) -> Client:
    client.force_login(operator)
    return client


@pytest.fixture
def orders_page() -> OrderAdmin:
    page = admin.site._registry[Order]
    assert isinstance(page, OrderAdmin)
    return page


def listed(client: Client, model: type[Any], **query: str) -> list[Any]:
    return list(client.get(url(model, "changelist"), query).context["cl"].result_list)


@pytest.mark.parametrize(
    ("tones", "values"),
    [
        (STATE_TONES, State.values), (SIDE_TONES, Side), (AMENDMENT_TONES, AmendmentState.values),
        (SESSION_TONES, BrokerAccount.SessionState.values),
    ],
)  # fmt: skip
def test_everything_that_can_be_shown_has_a_tone(tones: dict[str, str], values: Any) -> None:
    assert set(tones) == {str(value) for value in values}
    assert set(SOURCE_TONES) <= set(BrokerMessage.Source.values)


class TestOneRow:
    def test_the_price_is_the_average_once_filled_else_what_the_order_names(
        self, orders_page: OrderAdmin, trader: User, sbin: Instrument
    ) -> None:
        waiting = place(user=trader, price=D("999.95"))
        assert "₹999.95" in orders_page.num_price(waiting)
        filled = send(waiting)
        filled = see(filled, BrokerStatus.OPEN, [trade(filled, 1, 4, "999.90")])
        assert "₹999.90" in orders_page.num_price(filled)
        assert "average of fills" in orders_page.num_price(filled)
        assert "market" in orders_page.num_price(Order(type="MARKET"))
        assert "₹990.00" in orders_page.num_price(Order(type="STOP", stop_price=D(990)))

    @pytest.mark.parametrize(("filled", "width"), [(1, "10.0"), (4, "40.0"), (10, "100.0")])
    def test_a_bar_shows_how_far_it_is(self, orders_page: OrderAdmin, filled: int, width: str) -> None:
        shown = orders_page.num_filled(Order(quantity=D(10), filled_quantity=D(filled)))
        assert f"width:{width}%" in shown
        assert f"{filled} of 10" in shown

    def test_nothing_filled_is_a_dash(self, orders_page: OrderAdmin) -> None:
        assert "–" in orders_page.num_filled(Order(quantity=D(10), filled_quantity=D(0)))

    def test_the_reason_is_ours_or_else_the_brokers_and_never_markup(self, orders_page: OrderAdmin) -> None:
        assert "ours" in orders_page.said(Order(rejection_reason="ours", broker_message="theirs"))
        assert "theirs" in orders_page.said(Order(broker_message="theirs"))
        assert HOSTILE not in orders_page.said(Order(broker_message=HOSTILE))


class TestOnePage:
    def test_what_a_broker_said_stands_there_as_text(self, desk: Client, trader: User, sbin: Instrument) -> None:
        order = send(place(user=trader, notes=HOSTILE), Refused("RMS", HOSTILE))
        text = desk.get(url(Order, "change", order.pk)).content.decode()
        assert HOSTILE not in text
        assert "&lt;script&gt;" in text

    @pytest.mark.parametrize(
        ("status", "offered"),
        [(BrokerStatus.OPEN, True), (BrokerStatus.TRIGGER, True), (BrokerStatus.CANCELLED, False), (BrokerStatus.LAPSED, False)],
    )  # fmt: skip
    def test_cancelling_is_offered_while_there_is_something_to_cancel(
        self, desk: Client, trader: User, sbin: Instrument, status: BrokerStatus, offered: bool
    ) -> None:
        order = see(send(place(user=trader)), status)
        assert ("Cancel the order" in desk.get(url(Order, "change", order.pk)).content.decode()) is offered


class TestExecutions:
    @pytest.fixture
    def order(self, trader: User, sbin: Instrument) -> Order:
        """Four seen in the book before their trade, then the trade itself: inferred, undone, recorded."""
        order = see(send(place(user=trader)), BrokerStatus.OPEN, filled=4, average=999)
        return see(order, BrokerStatus.OPEN, [trade(order, 1, 4, 998)])

    def test_each_says_what_kind_it_is(self, desk: Client, order: Order) -> None:
        page: Any = admin.site._registry[Execution]
        kinds = [page.kind(row) for row in Execution.objects.order_by("id")]
        assert [word for shown in kinds for word in ("inferred", "reversal", "trade") if f">{word}<" in shown] == [
            "inferred", "reversal", "trade",
        ]  # fmt: skip

    def test_they_are_found_by_order_by_id_and_by_the_exchanges_number(self, desk: Client, order: Order) -> None:
        assert len(listed(desk, Execution, q=str(order.pk))) == 3
        real = Execution.objects.get(trade_id="1")
        assert listed(desk, Execution, q=str(real.pk)) == listed(desk, Execution, q="1") == [real]
        assert listed(desk, Execution, q="no such trade") == []


class TestAmendments:
    def test_open_ones_first_and_what_they_ask_for(self, desk: Client, trader: User, sbin: Instrument) -> None:
        order = see(send(place(user=trader)), BrokerStatus.OPEN)
        change = Modification(quantity=D(20), price=D("999.5"))
        request_modify(order.pk, change, actor=TRADER, at=now(), user=trader, reason="nearer")
        amendment = Amendment.objects.get()
        assert wanted_terms(amendment).endswith("20 units at ₹999.50")
        assert listed(desk, Amendment) == [amendment]
        assert listed(desk, Amendment, open="closed") == []
        see(fresh(order), BrokerStatus.CANCELLED)
        assert listed(desk, Amendment) == []
        assert (
            listed(desk, Amendment, open="closed")
            == listed(desk, Amendment, q=str(order.pk), open="all")
            == [amendment]
        )

    @pytest.mark.parametrize(
        ("asked", "words"),
        [
            ({}, ""), ({"type": "MARKET"}, "MARKET"), ({"time_in_force": "IOC"}, "IOC"),
            ({"type": "STOP_LIMIT", "price": D(5), "stop_price": D("4.95")}, "STOP_LIMIT at ₹5.00 trigger ₹4.95"),
        ],
    )  # fmt: skip
    def test_terms_in_a_few_words(self, asked: dict[str, Any], words: str) -> None:
        assert wanted_terms(Amendment(**{"type": "", "time_in_force": ""} | asked)) == words


def test_what_a_broker_sent_is_laid_out_and_harmless() -> None:
    shown = pretty({"message": HOSTILE, "price": D("1.50"), "name": "₹"})
    assert HOSTILE not in shown
    assert "₹" in shown
    assert "1.50" in shown


class TestBrokerAccounts:
    def test_no_page_shows_a_secret_or_a_token(self, desk: Client, broker_account: BrokerAccount) -> None:
        BrokerAccount.objects.update(api_secret="very-secret-indeed", access_token="token-of-today")
        for address in (
            url(BrokerAccount, "changelist"), url(BrokerAccount, "change", broker_account.pk),
            url(BrokerAccount, "change_credentials", broker_account.pk), url(BrokerAccount, "login", broker_account.pk),
        ):  # fmt: skip
            text = desk.get(address).content.decode()
            assert "very-secret-indeed" not in text
            assert "token-of-today" not in text

    def test_a_missing_secret_is_told(self, desk: Client, broker_account: BrokerAccount) -> None:
        address = url(BrokerAccount, "change", broker_account.pk)
        assert "set, never shown" in desk.get(address).content.decode()
        BrokerAccount.objects.update(api_secret="")
        assert "missing" in desk.get(address).content.decode()

    def test_who_is_routed_through_it(
        self, desk: Client, broker_account: BrokerAccount, account: Any, other_account: Any
    ) -> None:
        assert "DEMO, OTHER" in desk.get(url(BrokerAccount, "change", broker_account.pk)).content.decode()

    @pytest.mark.parametrize(("state", "offered"), [("OPEN", True), ("CLOSED", False), ("EXPIRED", False)])
    def test_logging_out_is_offered_to_who_is_logged_in(
        self, desk: Client, broker_account: BrokerAccount, state: str, offered: bool
    ) -> None:
        BrokerAccount.objects.update(session_state=state)
        text = desk.get(url(BrokerAccount, "change", broker_account.pk)).content.decode()
        assert (url(BrokerAccount, "logout", broker_account.pk) in text) is offered
