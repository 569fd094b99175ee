"""Folding the limits of several scopes into the ones that hold: of each kind the strictest.

One exception: an algorithm registered at the exchange brings its own order rate, which replaces the
general threshold (SEBI circular of 4 Feb 2025: above it, only registered algorithms).
"""

from collections.abc import Callable, Iterable
from decimal import Decimal

from compliance.models import RiskLimit
from compliance.screening.facts import Limit, Limits


def strictest(limits: Iterable[RiskLimit]) -> Limits:
    """The limits in force over the given rows (at most one row per scope)."""
    rows = list(limits)
    rates = [row for row in rows if row.scope == "ALGO" and row.max_orders_per_second is not None] or rows
    return Limits(
        order_quantity=_least(rows, lambda row: row.max_order_quantity),
        order_value=_least(rows, lambda row: row.max_order_value),
        open_value=_least(rows, lambda row: row.max_open_value),
        position_quantity=_least(rows, lambda row: row.max_position_quantity),
        orders_per_second=_least(rates, lambda row: row.max_orders_per_second),
        duplicate_window=_most(rows, lambda row: row.duplicate_window_seconds),
    )


Column = Callable[[RiskLimit], Decimal | int | None]


def _given(rows: Iterable[RiskLimit], column: Column) -> list[Limit]:
    return [
        Limit(Decimal(value), f"{row.scope} limits v{row.version}")
        for row in rows
        if (value := column(row)) is not None
    ]


def _least(rows: Iterable[RiskLimit], column: Column) -> Limit | None:
    return min(_given(rows, column), key=lambda limit: limit.value, default=None)


def _most(rows: Iterable[RiskLimit], column: Column) -> Limit | None:
    return max(_given(rows, column), key=lambda limit: limit.value, default=None)
