"""Why nothing that adds risk may leave the house for an order any more: asked again before anything is sent."""

from dataclasses import dataclass
from uuid import UUID

from compliance.screening.facts import Denial
from compliance.selectors import Controls, controls_of, inactive_among
from orders.models import Order


@dataclass(frozen=True, slots=True)
class Halt:
    """Why nothing that adds risk may leave the house for an order any more; codes are those of screening."""

    code: str
    reason: str
    by: str
    lets_reduce: bool = False


def halts_of(orders: list[Order], controls: Controls | None = None) -> dict[UUID, Halt]:
    """What has come between since these orders were accepted: inactive accounts, suspended algorithms, switches.

    `controls` are those that concern the orders, if they have just been read.

    Under REDUCING the caller lets pass what closes a position entirely (`lets_reduce`).
    """
    accounts = sorted({order.account_id for order in orders})
    if not accounts:
        return {}
    controls = controls or controls_of(accounts, {order.algo_id for order in orders})
    inactive = inactive_among(accounts)
    found = {order.id: _halt_of(order, controls, is_active=order.account_id not in inactive) for order in orders}
    return {pk: halt for pk, halt in found.items() if halt is not None}


def _halt_of(order: Order, controls: Controls, *, is_active: bool) -> Halt | None:
    if not is_active:
        return Halt(Denial.ACCOUNT_INACTIVE, "The account was closed before this was sent.", "account")
    algo = controls.algo(order.account_id, order.algo_id)
    if order.algo_id and (algo is None or algo.status != "ACTIVE"):
        return Halt(Denial.ALGO_SUSPENDED, "The algorithm was suspended before this was sent.", "algorithm")
    switch = controls.mode_of(order.account_id, algo)
    if switch is None:
        return None
    reduces = switch.mode == "REDUCING"
    reason = "Trading was halted before this was sent."
    if reduces:
        reason = "Only what closes a position passes since before this was sent."
    return Halt(Denial.KILL_SWITCH, reason, "kill switch", lets_reduce=reduces)
