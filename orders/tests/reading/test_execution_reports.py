"""How well an order was executed: only executions that count, and worse is always positive."""

from dataclasses import astuple
from decimal import Decimal as D
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from ledger.market.prices import set_prices
from oms.lib.clock import now
from orders.models import Order
from orders.reading.documents import execution_document, order_document, status_members
from orders.reading.execution_reports import effective_executions, execution_report, open_amendments
from orders.services.amendments.asking import request_cancel, request_modify
from orders.tests.factories import TRADER, fresh, place, see, send, trade
from orders.types import BrokerStatus, Modification, Refused, Side

pytestmark = pytest.mark.django_db


def executed(*trades: tuple[int, str], at: str | None = "1000", **given: Any) -> Order:
    """An order of so many units as its trades, accepted when the last price was `at`."""
    instrument = given.pop("instrument")
    if at is not None:
        set_prices({instrument.pk: (D(at), now())})
    quantity = sum(units for units, _ in trades)
    order = send(place(quantity=D(quantity), **given))
    reported = [trade(order, number, units, D(price)) for number, (units, price) in enumerate(trades, start=1)]
    return see(order, BrokerStatus.COMPLETE, reported)


@pytest.mark.parametrize(
    ("side", "trades", "slippage"),  # per unit, in all, in basis points of the arrival price 1000
    [
        ("BUY", [(10, "1001")], ("1", "10", "10")),
        ("BUY", [(10, "999")], ("-1", "-10", "-10")),
        ("SELL", [(10, "1001")], ("-1", "-10", "-10")),
        ("SELL", [(10, "999")], ("1", "10", "10")),
        ("BUY", [(5, "1002"), (5, "998")], ("0", "0", "0")),
        ("BUY", [(1, "1001"), (2, "1000")], ("0.33333333", "1", "3.33")),
    ],
)
def test_worse_than_at_arrival_is_positive_on_both_sides(
    account: Any, sbin: Any, side: str, trades: Any, slippage: Any
) -> None:
    limit = D(1050) if side == "BUY" else D(950)
    found = execution_report(executed(*trades, side=Side(side), price=limit, product="MIS", instrument=sbin)).slippage
    assert found is not None
    assert astuple(found) == (D(1000), *map(D, slippage))


def test_without_a_price_at_arrival_nothing_is_measured(account: Any, sbin: Any) -> None:
    report = execution_report(executed((10, "999"), at=None, instrument=sbin))
    assert (report.slippage, report.value, report.average_price) == (None, 9990, 999)


def test_the_report_is_reckoned_from_the_executions(account: Any, sbin: Any) -> None:
    order = executed((4, "999.90"), (6, "999.95"), instrument=sbin)
    report = execution_report(order)
    assert (report.filled_quantity, report.value, report.average_price) == (10, D("9999.3"), D("999.93"))
    assert report.charges == sum(execution.charges for execution in report.executions) == order.charges
    assert report.first_fill_at is not None
    assert report.last_fill_at is not None
    assert report.first_fill_at <= report.last_fill_at
    assert report.completed_at == order.ended_at


def test_an_order_without_executions_has_a_report_of_nothing(account: Any, sbin: Any) -> None:
    report = execution_report(send(place()))
    assert (report.filled_quantity, report.value, report.charges, list(report.executions)) == (0, 0, 0, [])
    assert report.average_price is report.slippage is report.first_fill_at is report.completed_at is None


def test_an_execution_that_was_undone_counts_no_more(account: Any, sbin: Any) -> None:
    """The order book showed four before their trade was seen; the trade then takes the inferred one's place."""
    order = see(send(place()), BrokerStatus.OPEN, filled=4, average=999)
    [inferred] = effective_executions([order.pk])[order.pk]
    assert execution_document(inferred)["inferred"] is True
    order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4, 998)])
    [real] = effective_executions([order.pk])[order.pk]
    assert (real.is_inferred, real.quantity, real.price) == (False, 4, 998)
    assert order.executions.count() == 3, "the inferred one, its reversal, the trade"
    reversal = order.executions.get(reverses=inferred)
    assert execution_document(reversal)["reverses"] == inferred.pk
    assert execution_report(order).value == 4 * 998


def test_many_orders_take_two_queries(
    account: Any, sbin: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    filled = [executed((n, "999"), instrument=sbin).pk for n in (1, 2, 3)]
    with django_assert_num_queries(1):
        found = effective_executions(filled)
    assert {pk: [e.quantity for e in rows] for pk, rows in found.items()} == dict(
        zip(filled, ([1], [2], [3]), strict=True)
    )
    with django_assert_num_queries(0):
        assert effective_executions([]) == open_amendments([]) == {}


class TestDocuments:
    """A member that is absent is not set; what is there is exact."""

    def test_a_fresh_order_has_no_more_than_it_was_told(self, trader: Any, sbin: Any) -> None:
        document = order_document(place(user=trader, client_order_id="c", notes="n"))
        assert (document["price"], document["clientOrderId"], document["notes"]) == (1000, "c", "n")
        assert not {
            "stopPrice", "validityMinutes", "disclosedQuantity", "icebergLegs", "marketProtection", "charges",
            "strategyId", "algoId", "brokerOrderId", "exchangeOrderId", "brokerStatus", "rejectionCode",
            "rejectionReason", "pendingAmendments", "averageExecutionPrice", "endedAt", "provisional",
        } & document.keys()  # fmt: skip

    @pytest.mark.parametrize(("outcome", "reason"), [(Refused("RMS", "RMS: no"), "RMS: no"), (None, None)])
    def test_the_brokers_own_words_are_the_reason_when_we_had_none(
        self, account: Any, sbin: Any, outcome: Any, reason: str | None
    ) -> None:
        assert order_document(send(place(), outcome)).get("rejectionReason") == reason

    def test_a_refusal_of_ours_says_which_rule_and_why(self, account: Any, sbin: Any) -> None:
        document = order_document(place(price=D(5000)))
        assert (document["status"], document["rejectionCode"]) == ("REJECTED", "PRICE_BAND")
        assert "band" in document["rejectionReason"]

    def test_a_working_order_shows_what_is_asked_of_it(self, trader: Any, sbin: Any) -> None:
        order = see(send(place(user=trader)), BrokerStatus.OPEN)
        by: dict[str, Any] = {"actor": TRADER, "at": now(), "user": trader}
        request_modify(order.pk, Modification(price=D(999)), reason="nearer", **by)
        [modify] = order_document(fresh(order), amendments=open_amendments([order.pk])[order.pk])["pendingAmendments"]
        assert (modify["kind"], modify["price"], modify["reason"]) == ("MODIFY", 999, "nearer")
        request_cancel(order.pk, reason="", **by)
        [cancel] = order_document(fresh(order), amendments=open_amendments([order.pk])[order.pk])["pendingAmendments"]
        assert cancel["kind"] == "CANCEL", "it takes the place of a modification that has not left"
        assert not {"price", "reason", "quantity"} & cancel.keys()

    def test_the_status_is_part_of_the_whole(self, account: Any, sbin: Any) -> None:
        order = executed((10, "999"), instrument=sbin)
        members, document = status_members(order), order_document(order)
        assert members.items() <= document.items()
        assert (members["remainingQuantity"], members["averageExecutionPrice"]) == (0, 999)
        assert members["endedAt"] == order.ended_at
