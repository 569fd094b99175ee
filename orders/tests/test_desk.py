"""The desk: what belongs to its orders is read once for all of them, and everything is written in one go."""

from contextlib import contextmanager
from decimal import Decimal as D

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from compliance.audit import EventType
from compliance.models import Alert
from compliance.selectors import order_events
from ledger.services.books import Books
from oms.lib.actors import SYSTEM
from oms.lib.clock import now
from oms.lib.ids import new_id
from orders.models import Amendment, BrokerMessage, Order
from orders.services.desk import Desk
from orders.services.endings import conclude
from orders.states import AmendmentEvent, Event
from orders.tests.factories import fresh, place, see, send, trade
from orders.types import BrokerStatus

pytestmark = pytest.mark.django_db


@contextmanager
def desk_of(*orders: Order, **given):
    """A desk on these orders, written at the end."""
    with transaction.atomic():
        desk = Desk.open([order.pk for order in orders], actor=SYSTEM, at=now(), **given)
        yield desk
        for order in desk.orders.values():
            conclude(desk, order)
        desk.write()


@contextmanager
def statements():
    """The texts of the statements that run inside."""
    texts: list[str] = []
    with CaptureQueriesContext(connection) as queries:
        yield texts
    texts += [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]


def cancel_of(order: Order) -> Amendment:
    at = now()
    return Amendment(
        id=new_id(), order_id=order.pk, account_id=order.account_id, kind="CANCEL", requested_by="SYSTEM:test",
        due_at=at, created_at=at, updated_at=at,
    )  # fmt: skip


def types_of(order: Order) -> list[str]:
    return [event.event_type for event in order_events(order.pk)]


class TestBooks:
    def test_open_when_first_asked_for_and_for_all_orders_at_once(self, account, sbin, infy):
        orders = [place(price=D(900 + n), symbol=("SBIN", "INFY")[n % 2]) for n in range(6)]
        with desk_of(*orders) as desk:
            with statements() as opening:
                held = [desk.reservations[order.pk].reserved for order in orders]
            with statements() as after:
                assert desk.books.portfolios[orders[0].portfolio_id].reserved == sum(held)
                assert desk.instrument_of(desk.orders[orders[1].pk]) == infy
        assert held[0] > 9000
        assert held == sorted(set(held)), "each its own, the dearer the more"
        assert len(opening) == 4  # reserved, instruments, positions, capital accounts
        assert after == []

    def test_stay_closed_for_what_moves_no_money(self, account, sbin):
        order = place()
        with statements() as all_of_them, desk_of(order) as desk:
            desk.fire(desk.orders[order.pk], Event.SUBMIT)
        assert not [text for text in all_of_them if "ledger_capitalaccount" in text]
        assert fresh(order).reserve_id == order.reserve_id

    def test_that_the_caller_opened_are_not_opened_again(self, account, sbin):
        order = place()
        with desk_of(order) as desk:
            books = Books.open(portfolio_ids=[order.portfolio_id], actor=SYSTEM, at=desk.at)
            desk.bring(books)
            assert desk.books is books
            assert desk.reservations[order.pk].reserved == books.portfolios[order.portfolio_id].reserved > 0

    def test_make_positions_only_for_a_desk_that_executes(self, account, sbin):
        order = place()
        with desk_of(order) as desk:
            assert desk.books.positions == {}
        with desk_of(order, executes=True) as desk:
            assert list(desk.books.positions) == [(order.portfolio_id, sbin.pk, order.product)]

    def test_a_new_order_holds_nothing_yet(self, account, sbin):
        order = place()
        desk = Desk(actor=SYSTEM, at=now())
        desk.add(order)
        desk.bring(Books(SYSTEM, desk.at, {}, {}))
        assert (desk.reservations[order.pk].reserved, desk.reservations[order.pk].units) == (0, 0)


class TestAmendments:
    def test_open_ones_are_read_once_for_all_orders(self, account, sbin):
        orders = [see(send(place()), BrokerStatus.OPEN) for _ in range(3)]
        with desk_of(*orders) as desk:
            for order in orders:
                desk.ask(cancel_of(order))
        with desk_of(orders[0]) as desk:
            (first,) = desk.open_amendments(desk.orders[orders[0].id])
            assert desk.amend(first, AmendmentEvent.GIVE_UP)
        with desk_of(*orders) as desk:
            with statements() as reading:
                open_now = [len(desk.open_amendments(order)) for order in desk.orders.values()]
            (last,) = desk.open_amendments(orders[2])
            assert desk.amend(last, AmendmentEvent.DONE)
            assert desk.open_amendments(orders[2]) == [], "closed on this very desk"
        assert open_now == [0, 1, 1]
        assert len(reading) == 1

    @pytest.mark.parametrize("read_before", [True, False])
    def test_one_just_asked_for_is_open(self, account, sbin, read_before):
        order = see(send(place()), BrokerStatus.OPEN)
        amendment = cancel_of(order)
        with desk_of(order) as desk:
            assert not read_before or desk.open_amendments(order) == []
            desk.ask(amendment)
            assert desk.open_amendments(order) == [amendment]
        assert Amendment.objects.get().pk == amendment.pk

    def test_what_changes_after_the_asking_is_written_too(self, account, sbin):
        order = place()
        with desk_of(order) as desk:
            amendment = cancel_of(order)
            desk.ask(amendment)
            assert desk.amend(amendment, AmendmentEvent.DONE, message="at once")
            assert not desk.amend(amendment, AmendmentEvent.GIVE_UP, message="too late")
        written = Amendment.objects.get()
        assert (written.state, written.message, written.steps) == ("CONFIRMED", "at once", 1)


class TestFiring:
    def test_a_stale_event_changes_and_records_nothing(self, account, sbin):
        order = see(send(place()), BrokerStatus.CANCELLED)
        recorded = types_of(order)
        with desk_of(order) as desk:
            assert desk.fire(desk.orders[order.pk], Event.ACK) is None
        assert fresh(order).version == order.version
        assert types_of(order) == recorded

    def test_a_change_raises_the_version_once_and_is_recorded_with_the_state(self, account, sbin):
        order = place()
        with desk_of(order) as desk:
            change = desk.fire(desk.orders[order.pk], Event.SUBMIT, {"tag": order.tag})
        assert (change.source, change.target) == ("CREATED", "SUBMITTING")
        assert fresh(order).version == order.version + 1
        assert types_of(order)[-1] == "ORDER_SENT"
        assert b'"state":"SUBMITTING"' in bytes(order_events(order.pk).last().c14n)

    def test_a_fact_with_a_name_of_its_own_is_recorded_though_the_state_stays(self, account, sbin):
        order = see(send(place()), BrokerStatus.OPEN, [trade(place(), 1, 4)])
        order = see(order, BrokerStatus.OPEN, [trade(order, 1, 4)])
        assert order.state == "PARTIALLY_FILLED"
        with desk_of(order) as desk:
            subject = desk.orders[order.pk]
            assert desk.fire(subject, Event.FILL_PART, recorded_as=EventType.ORDER_PARTIALLY_FILLED) is None
        assert types_of(order)[-1] == "ORDER_PARTIALLY_FILLED"
        assert fresh(order).version == order.version

    def test_revising_is_what_an_old_version_is_told_by(self, account, sbin):
        order = place()
        with desk_of(order) as desk:
            desk.revise(desk.orders[order.pk])
        assert fresh(order).version == order.version + 1


class TestWriting:
    def write_one_of_each(self, orders: list[Order]) -> list[str]:
        with transaction.atomic():
            desk = Desk.open([order.pk for order in orders], actor=SYSTEM, at=now())
            for order in desk.orders.values():
                desk.note(order, EventType.CANCEL_REQUESTED, {"reason": "test"})
                desk.ask(cancel_of(order))
                desk.keep(BrokerMessage(order=order, source="LOOK", summary="s", raw={"a": D(1)}, received_at=desk.at))
                desk.alert(order, key=f"k:{order.pk}", kind="TEST", summary=f"of {order}", details={"n": 1})
            with statements() as written:
                desk.write()
        return written

    def test_takes_as_many_statements_for_one_as_for_many(self, account, sbin):
        orders = [see(send(place(price=D(900 + n))), BrokerStatus.OPEN) for n in range(7)]
        told = BrokerMessage.objects.count()
        assert len(self.write_one_of_each(orders[:1])) == len(self.write_one_of_each(orders[1:])) == 5
        assert Amendment.objects.count() == Alert.objects.count() == 7
        assert BrokerMessage.objects.count() == told + 7
        assert BrokerMessage.objects.filter(source="LOOK").first().raw == {"a": "1"}
        alert = Alert.objects.get(key=f"k:{orders[3].pk}")
        assert (alert.account_id, alert.order_id, alert.details) == (account.pk, orders[3].pk, {"n": 1})

    def test_nothing_takes_no_statement(self, account, sbin):
        order = place()
        with transaction.atomic():
            desk = Desk.open([order.pk], actor=SYSTEM, at=now())
            with statements() as written:
                desk.write()
        assert written == []
