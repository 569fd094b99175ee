"""The books of one transaction: capital accounts and positions, locked, changed in memory, written once.

A service opens the books on what its orders touch, calls the verbs below order by order, and
writes; a list of one order and of five hundred take the same statements. Rows are locked in one order
everywhere (positions, then capital accounts, each ascending), after the order rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

from django.db import transaction

from compliance.services.alerts import AlertDraft, raise_alerts
from ledger import selectors
from ledger.models import AssetTransaction, Bucket, CapitalAccount, CapitalEntry, Position
from ledger.positions import Effect, Holding, Trade, apply_trade
from ledger.services.histories import fold, histories
from ledger.services.locking import books_locked, missing_positions_made
from ledger.services.reservations import Booking, Fill, InsufficientCapital, PositionKey, Reservation
from oms.lib.actors import Actor
from oms.lib.db import (
    execute,
    insert_rows,
    one_round_trip,
    read_all,
    require_transaction,
    update_rows,
)
from oms.lib.money import ZERO, to_paisa

__all__ = ["Booking", "Books", "Fill", "InsufficientCapital", "PositionKey", "Reservation"]

ENTRY_COLUMNS = (
    "id", "capital_account", "account_id", "seq", "kind", "status", "debit", "credit", "amount", "free_after",
    "reserved_after", "allocated_after", "order_id", "execution_id", "reserve_id", "key", "actor", "reason",
    "created_at",
)  # fmt: skip
TRANSACTION_COLUMNS = (
    "id", "position", "account_id", "seq", "execution_id", "order_id", "reverses_id", "side", "quantity", "price",
    "amount", "unit_margin", "charges", "realised", "trade_date", "booked_at",
)  # fmt: skip
POSITION_COLUMNS = (
    "quantity", "reserved_units", "average_price", "allocated", "realised_pnl", "day", "day_buy_quantity",
    "day_buy_value", "day_sell_quantity", "day_sell_value", "transaction_seq", "updated_at",
)  # fmt: skip

Kind: TypeAlias = CapitalEntry.Kind
Status: TypeAlias = CapitalEntry.Status


@dataclass
class Books:
    """See the module. Make one with `Books.open`; nothing reaches the database before `write`."""

    actor: Actor
    at: datetime
    portfolios: dict[int, CapitalAccount]
    positions: dict[PositionKey, Position]
    _entries: list[CapitalEntry] = field(default_factory=list)
    _transactions: list[AssetTransaction] = field(default_factory=list)
    _closings: dict[UUID, Status] = field(default_factory=dict)
    _history: dict[int, list[AssetTransaction]] | None = None
    _touched_portfolios: dict[int, CapitalAccount] = field(default_factory=dict)
    _touched_positions: dict[PositionKey, Position] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        *,
        portfolio_ids: Iterable[int],
        position_keys: Iterable[PositionKey] = (),
        create_positions: bool = False,
        actor: Actor,
        at: datetime,
    ) -> "Books":
        """Lock and load. Positions that do not exist yet are made first if asked for."""
        require_transaction()
        keys = set(position_keys)
        made = [missing_positions_made(keys, at)] if create_positions and keys else []
        *_, positions, portfolios = read_all(*made, *books_locked(portfolio_ids, keys))
        return cls.of(positions, portfolios, actor=actor, at=at)

    @classmethod
    def of(cls, positions: list[Position], portfolios: list[CapitalAccount], *, actor: Actor, at: datetime) -> "Books":
        """From what the reads of `books_locked` found, for a caller that makes others in the same round trip."""
        return cls(
            actor=actor,
            at=at,
            portfolios={p.pk: p for p in portfolios},
            positions={(p.capital_account_id, p.instrument_id, p.product): p for p in positions},
        )

    def closable(self, key: PositionKey, side: str) -> Decimal:
        """Units that an order of `side` could close now: held the other way and promised to nobody."""
        position = self.positions.get(key)
        if position is None or (position.quantity > 0) == (side == "BUY"):
            return ZERO
        return max(abs(position.quantity) - position.reserved_units, ZERO)

    def reserve(
        self, reservation: Reservation, amount: Decimal, *, key: str, units: Decimal = ZERO, forced: bool = False
    ) -> None:
        """Move `amount` rupees from free to reserved and promise `units`, for the order of `reservation`.

        Raises InsufficientCapital, with nothing changed, unless `forced` by a fact from the broker.
        """
        portfolio = self.portfolios[reservation.portfolio_id]
        if amount > 0 and portfolio.free < amount and not forced:
            raise InsufficientCapital(
                f"The order needs ₹{amount} of {portfolio.code}, of which ₹{portfolio.free} is free. "
                "Lower the quantity or price, cancel another order, or deposit."
            )
        entry = self.move(
            portfolio,
            Kind.RESERVE,
            amount,
            Bucket.FREE,
            Bucket.RESERVED,
            key=key,
            reservation=reservation,
            status=Status.PENDING,
        )
        if entry:
            reservation.reserve_id = reservation.reserve_id or entry.pk
            reservation.reserved += amount
        if units:
            self._position(reservation).reserved_units += units
            reservation.units += units

    def book(self, reservation: Reservation, fill: Fill) -> Booking:
        """Book one execution: close and open the position, allocate from the order's reservation, charge.

        The reservation pays first what this fill opens and costs; of the rest, what the units still to open
        do not need goes back to free. What it lacks comes from free, below zero if the market so decided.
        """
        portfolio, position = self.portfolios[reservation.portfolio_id], self._position(reservation)
        effect = apply_trade(_holding(position), fill.trade)
        new = fill.draws / fill.trade.quantity  # the rest was paid for by the execution that this one replaces
        from_reserve = min(reservation.reserved, to_paisa(effect.allocated * new))
        left = reservation.reserved - from_reserve
        returned = max(min(left, to_paisa(fill.charges * new)), left - _to_keep(reservation, fill), ZERO)
        steps = (
            (Kind.RELEASE, effect.released, Bucket.ALLOCATED, Bucket.FREE),
            (Kind.REALISE, max(effect.realised, ZERO), Bucket.OUTSIDE, Bucket.FREE),
            (Kind.REALISE, max(-effect.realised, ZERO), Bucket.FREE, Bucket.OUTSIDE),
            (Kind.ALLOCATE, from_reserve, Bucket.RESERVED, Bucket.ALLOCATED),
            (Kind.RELEASE, returned, Bucket.RESERVED, Bucket.FREE),
            (Kind.ALLOCATE, effect.allocated - from_reserve, Bucket.FREE, Bucket.ALLOCATED),
            (Kind.CHARGE, fill.charges, Bucket.FREE, Bucket.OUTSIDE),
        )
        for step, (kind, amount, debit, credit) in enumerate(steps):
            key = f"{fill.execution_id}:{step}"
            self.move(
                portfolio, kind, amount, debit, credit, key=key, reservation=reservation, execution_id=fill.execution_id
            )
        reservation.reserved = left - returned
        self._promise(reservation, -min(reservation.units, fill.draws))
        self._book_position(position, reservation.order_id, fill, effect)
        return Booking(effect, returned)

    def release(self, reservation: Reservation, *, failed: bool = False) -> Decimal:
        """Give back all that the order still holds: it ended (or `failed`: refused, or lost). Returns rupees."""
        amount = reservation.reserved
        kind = Kind.FAIL if failed else Kind.RELEASE
        portfolio = self.portfolios[reservation.portfolio_id]
        key = f"{reservation.order_id}:{kind}:{portfolio.entry_seq + 1}"
        self.move(portfolio, kind, amount, Bucket.RESERVED, Bucket.FREE, key=key, reservation=reservation)
        reservation.reserved = ZERO
        self._promise(reservation, -reservation.units)
        self.mark_reserve(reservation, Status.FAILED if failed else Status.COMMITTED)
        return amount

    def lower(self, reservation: Reservation, amount: Decimal, *, key: str, units: Decimal = ZERO) -> None:
        """Give back a part, because a cheaper modification was confirmed or a dearer one refused."""
        amount = min(amount, reservation.reserved)
        portfolio = self.portfolios[reservation.portfolio_id]
        self.move(portfolio, Kind.RELEASE, amount, Bucket.RESERVED, Bucket.FREE, key=key, reservation=reservation)
        reservation.reserved -= amount
        self._promise(reservation, -min(units, reservation.units))

    def mark_reserve(self, reservation: Reservation, status: Status) -> None:
        """Set the status of the order's open RESERVE entries."""
        if reservation.reserve_id:
            self._closings[reservation.order_id] = status

    def reverse(self, execution_id: UUID) -> None:
        """Undo one booked execution: refold its position without it and post the differences."""
        position, history = self._history_with(execution_id)
        undone = next(row for row in history if row.execution_id == execution_id)
        portfolio = self.portfolios[position.capital_account_id]
        holding = fold(history, without=undone.pk)
        tied, profit = holding.allocated - position.allocated, holding.realised - position.realised_pnl
        steps = (
            (Kind.ALLOCATE, max(tied, ZERO), Bucket.FREE, Bucket.ALLOCATED),
            (Kind.RELEASE, max(-tied, ZERO), Bucket.ALLOCATED, Bucket.FREE),
            (Kind.REALISE, max(profit, ZERO), Bucket.OUTSIDE, Bucket.FREE),
            (Kind.REALISE, max(-profit, ZERO), Bucket.FREE, Bucket.OUTSIDE),
            (Kind.CHARGE, undone.charges, Bucket.OUTSIDE, Bucket.FREE),
        )
        reservation = Reservation(undone.order_id or undone.pk, portfolio.pk, None)
        for step, (kind, amount, debit, credit) in enumerate(steps):
            key = f"{execution_id}:undo:{step}"
            self.move(
                portfolio, kind, amount, debit, credit, key=key, reservation=reservation, execution_id=execution_id
            )
        _hold(position, holding)
        if position.day == undone.trade_date:
            _count_today(position, undone.side, -undone.quantity, -undone.amount)
        self._append(
            position,
            AssetTransaction(
                order_id=undone.order_id, reverses_id=undone.pk, quantity=undone.quantity, price=undone.price,
                side="SELL" if undone.side == "BUY" else "BUY", amount=undone.amount, unit_margin=undone.unit_margin,
                charges=-undone.charges, realised=profit, trade_date=undone.trade_date,
            ),
        )  # fmt: skip

    def hold(self, key: PositionKey, trade: Trade, *, trade_date: date) -> Decimal:
        """Book a position that came from outside, without touching capital; returns its cost in rupees."""
        position = self.positions[key]
        effect = apply_trade(_holding(position), trade)
        _hold(position, effect.holding)
        self._append(
            position,
            AssetTransaction(
                side=trade.side, quantity=trade.quantity, price=trade.price, unit_margin=trade.unit_margin,
                amount=to_paisa(trade.quantity * trade.price), realised=effect.realised, trade_date=trade_date,
            ),
        )  # fmt: skip
        return effect.allocated

    def move(
        self,
        portfolio: CapitalAccount,
        kind: Kind,
        amount: Decimal,
        debit: Bucket,
        credit: Bucket,
        *,
        key: str,
        reservation: Reservation | None = None,
        execution_id: UUID | None = None,
        status: Status = Status.COMMITTED,
        reason: str = "",
    ) -> CapitalEntry | None:
        """Post one entry of `amount` rupees (none for zero). The lowest verb: prefer those above."""
        if amount == 0:
            return None
        for bucket, change in ((debit, -amount), (credit, amount)):
            if bucket is not Bucket.OUTSIDE:
                name = bucket.value.lower()
                setattr(portfolio, name, getattr(portfolio, name) + change)
        portfolio.entry_seq += 1
        entry = CapitalEntry(
            capital_account_id=portfolio.pk, account_id=portfolio.account_id, seq=portfolio.entry_seq, kind=kind,
            status=status, debit=debit, credit=credit, amount=amount, free_after=portfolio.free,
            reserved_after=portfolio.reserved, allocated_after=portfolio.allocated,
            order_id=reservation.order_id if reservation else None, execution_id=execution_id,
            reserve_id=reservation.reserve_id if reservation else None,
            key=key, actor=f"{self.actor.type}:{self.actor.id}", reason=reason, created_at=self.at,
        )  # fmt: skip
        self._entries.append(entry)
        self._touched_portfolios[portfolio.pk] = portfolio
        return entry

    def write(self) -> None:
        """Write what changed, in one round trip."""
        with one_round_trip():
            self.send_rows()
            raise_alerts(self.overdrafts(), at=self.at)
        self.forget_available()

    def send_rows(self) -> None:
        """The statements of `write`, for a caller that sends its own in the same round trip.

        Accounts before entries: the database then proves each account once, and not once more for its entries.
        """
        touched = list(self._touched_portfolios.values())
        update_rows(CapitalAccount, ("free", "reserved", "allocated", "entry_seq"), touched)
        insert_rows(AssetTransaction, TRANSACTION_COLUMNS, self._transactions)
        insert_rows(CapitalEntry, ENTRY_COLUMNS, self._entries)
        _set_reserve_status(self._closings)
        update_rows(Position, POSITION_COLUMNS, list(self._touched_positions.values()))

    def overdrafts(self) -> list[AlertDraft]:
        """What to alert of: capital accounts changed here whose free capital is below zero."""
        return [
            AlertDraft(
                key=f"overdraft:{portfolio.pk}", kind="OVERDRAFT", severity="CRITICAL",
                account_id=portfolio.account_id,
                summary=f"{portfolio.code} is overdrawn by ₹{-portfolio.free}: no new order until it is covered",
            )
            for portfolio in self._touched_portfolios.values()
            if portfolio.free < 0
        ]  # fmt: skip

    def forget_available(self) -> None:
        """Let nobody read a stale figure after the commit."""
        codes = [portfolio.code for portfolio in self._touched_portfolios.values()]
        if codes:
            transaction.on_commit(lambda: selectors.forget_available(codes), robust=True)

    def _position(self, reservation: Reservation) -> Position:
        assert reservation.position_key is not None
        position = self.positions[reservation.position_key]
        self._touched_positions[reservation.position_key] = position
        return position

    def _promise(self, reservation: Reservation, units: Decimal) -> None:
        if units:
            self._position(reservation).reserved_units += units
            reservation.units += units

    def _book_position(self, position: Position, order_id: UUID, fill: Fill, effect: Effect) -> None:
        trade, amount = fill.trade, to_paisa(fill.trade.quantity * fill.trade.price)
        _hold(position, effect.holding)
        if position.day != fill.trade_date:
            position.day = fill.trade_date
            position.day_buy_quantity = position.day_sell_quantity = ZERO
            position.day_buy_value = position.day_sell_value = ZERO
        _count_today(position, trade.side, trade.quantity, amount)
        self._append(
            position,
            AssetTransaction(
                execution_id=fill.execution_id, order_id=order_id, side=trade.side, quantity=trade.quantity,
                price=trade.price, amount=amount, unit_margin=trade.unit_margin, charges=fill.charges,
                realised=effect.realised, trade_date=fill.trade_date,
            ),
        )  # fmt: skip

    def _history_with(self, execution_id: UUID) -> tuple[Position, list[AssetTransaction]]:
        """The position that an execution was booked to, with its transactions up to now, oldest first."""
        if self._history is None:
            self._history = histories(self.positions.values(), booked=self._transactions)
        position = next(
            position
            for position in self.positions.values()
            if any(row.execution_id == execution_id for row in self._history[position.pk])
        )
        return position, self._history[position.pk]

    def _append(self, position: Position, booked: AssetTransaction) -> None:
        position.transaction_seq += 1
        position.updated_at = self.at
        booked.position_id, booked.account_id = position.pk, position.account_id
        booked.seq, booked.booked_at = position.transaction_seq, self.at
        self._transactions.append(booked)
        if self._history is not None:
            self._history[position.pk].append(booked)
        self._touched_positions[position.capital_account_id, position.instrument_id, position.product] = position


def _holding(position: Position) -> Holding:
    return Holding(position.quantity, position.average_price, position.allocated, position.realised_pnl)


def _hold(position: Position, holding: Holding) -> None:
    position.quantity, position.average_price = holding.quantity, holding.average_price
    position.allocated, position.realised_pnl = holding.allocated, holding.realised


def _count_today(position: Position, side: str, quantity: Decimal, value: Decimal) -> None:
    if side == "BUY":
        position.day_buy_quantity += quantity
        position.day_buy_value += value
    else:
        position.day_sell_quantity += quantity
        position.day_sell_value += value


def _to_keep(reservation: Reservation, fill: Fill) -> Decimal:
    """The part of the reservation for the units that are still to open after this fill; the promised ones close."""
    opens = max(fill.remaining - reservation.units, ZERO)
    still = max(opens - max(fill.draws - reservation.units, ZERO), ZERO)
    return to_paisa(reservation.reserved * still / opens) if still else ZERO


def _set_reserve_status(statuses: dict[UUID, Status]) -> None:
    """A statement for each of the two or three statuses: a join with a list of them may be planned as a full read."""
    for status in sorted(set(statuses.values())):
        execute(
            """UPDATE ledger_capitalentry SET status = %(status)s::text
               WHERE order_id = ANY(%(orders)s::uuid[]) AND kind = 'RESERVE' AND status <> %(status)s::text
                 AND status IN ('PENDING', 'RECONCILING')""",
            {"status": status, "orders": sorted(order for order, wanted in statuses.items() if wanted == status)},
        )
