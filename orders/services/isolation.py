"""Applying many things in one transaction, and each in its own when together they fail.

What a broker says comes in bursts, and is applied in bursts; one row that cannot be applied must not lose the others.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from django.db import OperationalError, transaction

from compliance.services.alerts import raise_alert

T = TypeVar("T")
logger = structlog.get_logger(__name__)


def report_not_applied(what: str, error: Exception, *, key: str, at: datetime, order_id: UUID | None = None) -> None:
    """Log and alert that `what`, a few words, could not be applied: a person must look at it, the others go on."""
    logger.error("row_not_applied", what=what, order_id=str(order_id or ""), exc_info=error)
    with transaction.atomic(durable=True):
        raise_alert(
            key=key[:200], kind="ROW_NOT_APPLIED", severity="CRITICAL", at=at, order_id=order_id,
            details={"error": f"{type(error).__name__}: {error}"[:500]}, summary=f"{what} cannot be applied: {error}",
        )  # fmt: skip


def apply_isolated(
    items: Sequence[T], apply: Callable[[Sequence[T]], None], *, give_up: Callable[[T, Exception], None]
) -> None:
    """`apply` all items in one transaction; should that fail, each in one of its own.

    What fails even alone is handed to `give_up`, outside any transaction. Raises OperationalError: then the database
    is away, or a lock was not had in time; no item is to blame, and the same may be tried anew.
    """
    if not items:
        return
    try:
        with transaction.atomic(durable=True):
            apply(items)
    except OperationalError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, one of the items is to blame
        if len(items) == 1:
            give_up(items[0], error)
            return
        for item in items:
            apply_isolated([item], apply, give_up=give_up)


def sweep_isolated(order_ids: Sequence[UUID], apply: Callable[[Sequence[UUID]], None]) -> int:
    """As `apply_isolated`, for orders that a sweep has found; returns how many. What fails is logged at each sweep."""
    apply_isolated(order_ids, apply, give_up=_log_left_behind)
    return len(order_ids)


def _log_left_behind(order_id: UUID, error: Exception) -> None:
    logger.error("not_swept", order_id=str(order_id), exc_info=error)
