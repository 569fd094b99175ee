"""The history of positions: their transactions, and what these make of them. A position can always be told from it."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from ledger.models import AssetTransaction, Position
from ledger.positions import Holding, Trade, apply_trade
from oms.lib.db import fetch_models


def histories(
    positions: Iterable[Position], *, booked: Iterable[AssetTransaction] = ()
) -> dict[int, list[AssetTransaction]]:
    """Per position its transactions, oldest first; one query for all. `booked` are those not written yet."""
    found: dict[int, list[AssetTransaction]] = {position.pk: [] for position in positions}
    clauses = "WHERE t.position_id = ANY(%(ids)s) ORDER BY t.position_id, t.seq"
    for row in (*fetch_models(AssetTransaction, clauses, {"ids": list(found)}), *booked):
        found[row.position_id].append(row)
    return found


def replay(position: Position) -> Holding:
    """The position as its transactions in the database make it."""
    return fold(histories([position])[position.pk])


def fold(rows: Sequence[AssetTransaction], *, without: UUID | None = None) -> Holding:
    """What the transactions of a position make of it, in the order of booking, leaving out what was reversed."""
    undone = {t.reverses_id for t in rows if t.reverses_id} | {without}
    holding = Holding()
    for row in rows:
        if row.reverses_id is None and row.pk not in undone:
            holding = apply_trade(holding, Trade(row.side, row.quantity, row.price, row.unit_margin)).holding
    return holding
