"""The keys by which alerts about orders are found again: built here, both for raising and for asking."""

from uuid import UUID


def trade_changed(execution_id: UUID) -> str:
    """Of the alert that a recorded execution is now reported with another quantity or price."""
    return f"trade-changed:{execution_id}"


def unresolved(order_id: UUID) -> str:
    """Of the alert that nobody knows whether an order of an earlier day reached the broker."""
    return f"unresolved:{order_id}"
