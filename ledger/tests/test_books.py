"""The books under any sequence of verbs: they balance after each, and no reservation takes what is not free."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal as D
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.models import Alert
from ledger.models import AssetTransaction, CapitalAccount, CapitalEntry, Position
from ledger.positions import Holding, Trade
from ledger.selectors import open_reservations, trial_balance
from ledger.services.books import Books, Fill, InsufficientCapital, Reservation
from ledger.services.histories import replay
from oms.lib.actors import SYSTEM
from oms.lib.clock import now

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 20)
Status = CapitalEntry.Status


@dataclass
class World:
    """Two portfolios, two instruments, and the orders that draw on them, as the callers of the books keep them."""

    portfolios: list[int]
    instruments: list[int]
    reservations: list[Reservation] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)
    remaining: list[D] = field(default_factory=list)
    executions: list[UUID] = field(default_factory=list)
    charges: D = D(0)

    def books(self) -> Books:
        keys = [(p, i, "CNC") for p in self.portfolios for i in self.instruments]
        return Books.open(
            portfolio_ids=self.portfolios, position_keys=keys, create_positions=True, actor=SYSTEM, at=now()
        )

    def order(self, books: Books, which: int, side: str, quantity: int, price: int) -> None:
        """Accept an order: its margin is its price, its units are promised where it closes."""
        portfolio, instrument = self.portfolios[which % 2], self.instruments[which // 2 % 2]
        reservation = Reservation(uuid4(), portfolio, (portfolio, instrument, "CNC"))
        closes = min(books.closable(reservation.position_key, side), D(quantity))
        amount, free = (quantity - closes) * price, books.portfolios[portfolio].free
        try:
            books.reserve(reservation, amount, key=f"{reservation.order_id}:RESERVE", units=closes)
        except InsufficientCapital:
            assert free < amount
            assert books.portfolios[portfolio].free == free
            return
        assert amount == 0 or free >= amount
        assert amount == 0 or books.portfolios[portfolio].free >= 0
        self.reservations.append(reservation)
        self.sides.append(side)
        self.remaining.append(D(quantity))

    def fill(self, books: Books, which: int, quantity: int, price: int) -> None:
        """The market decides, whatever is free: also more than the order has left, also after its end."""
        if not self.reservations:
            return
        n = which % len(self.reservations)
        execution, units, charges = uuid4(), D(quantity), D(quantity) / 100
        trade = Trade(self.sides[n], units, D(price), D(price))
        books.book(self.reservations[n], Fill(execution, trade, charges, self.remaining[n], units, TODAY))
        self.remaining[n] -= units
        self.executions.append(execution)
        self.charges += charges

    def end(self, books: Books, which: int, failed: bool) -> None:
        if self.reservations:
            reservation = self.reservations[which % len(self.reservations)]
            held = reservation.reserved
            assert books.release(reservation, failed=failed) == held
            assert (reservation.reserved, reservation.units) == (0, 0)

    def lower(self, books: Books, which: int, amount: int, units: int) -> None:
        if self.reservations:
            reservation = self.reservations[which % len(self.reservations)]
            books.lower(reservation, D(amount), key=f"{uuid4()}:LOWER", units=D(units))

    def revive(self, books: Books, which: int, amount: int) -> None:
        """An order given up turns out to work: it reserves by force, and never more than once at a time."""
        if self.reservations:
            reservation = self.reservations[which % len(self.reservations)]
            reservation.reserve_id = None
            books.reserve(reservation, D(amount), key=f"{uuid4()}:RESERVE", forced=True)

    def undo(self, books: Books, which: int) -> None:
        if self.executions:
            execution = self.executions.pop(which % len(self.executions))
            books.reverse(execution)
            self.charges -= AssetTransaction.objects.get(execution_id=execution).charges


n, units, prices = st.integers(0, 7), st.integers(1, 60), st.integers(1, 500)
verbs = st.one_of(
    st.tuples(st.just("order"), n, st.sampled_from(["BUY", "SELL"]), units, prices),
    st.tuples(st.just("fill"), n, units, prices),
    st.tuples(st.just("end"), n, st.booleans()),
    st.tuples(st.just("lower"), n, st.integers(0, 5000), st.integers(0, 30)),
    st.tuples(st.just("revive"), n, st.integers(1, 5000)),
    st.tuples(st.just("undo"), n),
)


@pytest.fixture
def world(portfolio, other_account, sbin, infy) -> World:
    return World([portfolio.pk, other_account.portfolios.get().pk], [sbin.pk, infy.pk])


@given(sequence=st.lists(st.lists(verbs, min_size=1, max_size=3), max_size=14))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_verbs_balances(world: World, sequence):
    """Each inner list is one unit of work: what the verbs of one see of each other is not yet written."""
    world = World(world.portfolios, world.instruments)
    with transaction.atomic():
        for work in sequence:
            books, undoes = world.books(), 0
            for name, *arguments in work:
                if name == "undo":
                    undoes += 1
                    if undoes > 1 or any(verb[0] == "fill" for verb in work):
                        continue  # an execution is undone in a later unit of work than it was booked in
                getattr(world, name)(books, *arguments)
            books.write()
            check(world)
        transaction.set_rollback(True)


def check(world: World) -> None:
    assert trial_balance() == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the database's own proof
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    for pk in world.portfolios:
        reservations = [reservation for reservation in world.reservations if reservation.portfolio_id == pk]
        assert CapitalAccount.objects.get(pk=pk).reserved == sum((c.reserved for c in reservations), D(0))
        assert all(c.reserved >= 0 and c.units >= 0 for c in reservations)
    held = open_reservations([reservation.order_id for reservation in world.reservations])
    assert {pk: amount for pk, amount in held.items() if amount} == {
        reservation.order_id: reservation.reserved for reservation in world.reservations if reservation.reserved
    }
    for position in Position.objects.all():
        promised = [c.units for c in world.reservations if c.position_key == key_of(position)]
        assert position.reserved_units == sum(promised, D(0))
        folded = replay(position)
        assert folded == Holding(
            position.quantity, position.average_price, position.allocated, position.realised_pnl
        ), "the fold and the replay disagree"


def key_of(position: Position):
    return position.capital_account_id, position.instrument_id, position.product


class TestExamples:
    def reservation(self, world: World) -> Reservation:
        return Reservation(uuid4(), world.portfolios[0], (world.portfolios[0], world.instruments[0], "CNC"))

    def fill(self, side="BUY", quantity=10, price=100, remaining=10, draws=None, charges=0, on=TODAY) -> Fill:
        trade = Trade(side, D(quantity), D(price), D(price))
        return Fill(uuid4(), trade, D(charges), D(remaining), D(quantity if draws is None else draws), on)

    def entries(self, *columns):
        return list(CapitalEntry.objects.filter(order_id__isnull=False).order_by("seq").values_list(*columns))

    def test_a_reservation_may_take_the_last_paisa_and_no_more(self, world):
        books = world.books()
        with pytest.raises(InsufficientCapital, match="1000000.01"):
            books.reserve(self.reservation(world), D("1000000.01"), key="a")
        books.write()
        assert not self.entries("kind")
        books.reserve(self.reservation(world), D(1_000_000), key="b")
        books.write()
        assert CapitalAccount.objects.get(pk=world.portfolios[0]).free == 0

    def test_the_steps_of_a_fill_and_what_is_left_over(self, world):
        books, reservation = world.books(), self.reservation(world)
        books.reserve(reservation, D(1010), key="r")
        booking = books.book(reservation, self.fill(price=99, charges="5.50"))
        books.release(reservation)
        books.write()
        assert booking.returned == 20
        assert self.entries("kind", "debit", "credit", "amount") == [
            ("RESERVE", "FREE", "RESERVED", 1010),
            ("ALLOCATE", "RESERVED", "ALLOCATED", 990),
            ("RELEASE", "RESERVED", "FREE", 20),
            ("CHARGE", "FREE", "OUTSIDE", D("5.50")),
        ]

    def test_a_share_of_the_reservation_per_share_of_the_order(self, world):
        books, reservation = world.books(), self.reservation(world)
        books.reserve(reservation, D(1000), key="r")
        books.book(reservation, self.fill(quantity=3, price=100, remaining=10))
        assert reservation.reserved == 700
        books.book(reservation, self.fill(quantity=7, price=100, remaining=7))
        assert reservation.reserved == 0
        books.write()

    def test_a_replacement_draws_nothing_again(self, world):
        books, reservation = world.books(), self.reservation(world)
        books.reserve(reservation, D(1000), key="r")
        books.book(reservation, self.fill(quantity=4, remaining=10, draws=0))
        assert reservation.reserved == 1000
        books.write()

    def test_a_loss_goes_out_and_a_profit_comes_in(self, world):
        books, reservation = world.books(), self.reservation(world)
        books.book(reservation, self.fill(price=100))
        books.book(reservation, self.fill("SELL", quantity=5, price=90))
        books.book(reservation, self.fill("SELL", quantity=5, price=120))
        books.write()
        assert self.entries("kind", "debit", "credit", "amount")[1:] == [
            ("RELEASE", "ALLOCATED", "FREE", 500),
            ("REALISE", "FREE", "OUTSIDE", 50),
            ("RELEASE", "ALLOCATED", "FREE", 500),
            ("REALISE", "OUTSIDE", "FREE", 100),
        ]

    def test_the_market_may_overdraw_and_somebody_is_told(self, world):
        books, reservation = world.books(), self.reservation(world)
        books.book(reservation, self.fill(quantity=1000, price=1001, remaining=1000))
        books.write()
        assert CapitalAccount.objects.get(pk=world.portfolios[0]).free < 0
        alert = Alert.objects.get()
        assert (alert.kind, alert.severity) == ("OVERDRAFT", "CRITICAL")
        assert "₹1000" in alert.summary
        books = world.books()
        with pytest.raises(InsufficientCapital):
            books.reserve(self.reservation(world), D("0.01"), key="r")

    def test_a_key_posts_once(self, world):
        books = world.books()
        books.reserve(self.reservation(world), D(1), key="r")
        books.reserve(self.reservation(world), D(1), key="r")
        with pytest.raises(IntegrityError, match="key"), transaction.atomic():
            books.write()
        assert not self.entries("kind")

    def test_what_is_promised_to_one_order_another_cannot_close(self, world):
        books, key = world.books(), (world.portfolios[0], world.instruments[0], "CNC")
        books.book(self.reservation(world), self.fill(quantity=10))
        assert (books.closable(key, "SELL"), books.closable(key, "BUY")) == (10, 0)
        reservation = self.reservation(world)
        books.reserve(reservation, D(0), key="r", units=D(6))
        assert books.closable(key, "SELL") == 4
        books.release(reservation)
        assert books.closable(key, "SELL") == 10
        books.write()

    def test_the_status_of_a_reservation_follows_its_order(self, world):
        def statuses():
            return [status for kind, status in self.entries("kind", "status") if kind == "RESERVE"]

        reservation = self.reservation(world)
        for change, expected in (
            (lambda books: books.reserve(reservation, D(10), key="r"), "PENDING"),
            (lambda books: books.mark_reserve(reservation, Status.RECONCILING), "RECONCILING"),
            (lambda books: books.mark_reserve(reservation, Status.PENDING), "PENDING"),
            (lambda books: books.release(reservation, failed=True), "FAILED"),
        ):
            books = world.books()
            change(books)
            books.write()
            assert statuses() == [expected]
        reservation.reserve_id = None
        books = world.books()
        books.reserve(reservation, D(10), key="r2", forced=True)
        books.write()
        books = world.books()
        books.release(reservation)
        books.write()
        assert statuses() == ["FAILED", "COMMITTED"], "what has failed stays failed"

    def test_today_counts_each_trade_once(self, world):
        """A trade that replaces an inferred one was bought once, not twice."""
        books, reservation = world.books(), self.reservation(world)
        inferred = self.fill(quantity=6, price=100)
        books.book(reservation, inferred)
        books.write()
        books = world.books()
        books.reverse(inferred.execution_id)
        books.book(reservation, self.fill(quantity=6, price=101, draws=0))
        books.book(reservation, self.fill("SELL", quantity=2, price=110))
        books.write()
        position = Position.objects.get(transaction_seq__gt=0)
        assert (position.day, position.day_buy_quantity, position.day_buy_value) == (TODAY, 6, 606)
        assert (position.day_sell_quantity, position.day_sell_value) == (2, 220)

    def test_a_new_day_begins_at_nothing(self, world):
        books, reservation = world.books(), self.reservation(world)
        books.book(reservation, self.fill(quantity=6, price=100, on=date(2026, 11, 19)))
        books.book(reservation, self.fill("SELL", quantity=1, price=100))
        books.write()
        position = Position.objects.get(transaction_seq__gt=0)
        assert (position.day, position.day_buy_quantity, position.day_sell_quantity) == (TODAY, 0, 1)
