"""Capital and units: nothing held without a live order, everything held counted, no gap in any numbering."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from benchmarks.chaos.finding import Finding, finding
from ledger.models import AssetTransaction, CapitalAccount, CapitalEntry, Position
from ledger.selectors import open_reservations, trial_balance
from ledger.services.histories import replay
from orders.models import Order
from orders.states import ENDED, LIVE


def check_books() -> list[Finding]:
    """Everything that the ledger can say of itself."""
    live = {order.pk: order for order in Order.objects.filter(state__in=LIVE)}
    held = open_reservations(list(Order.objects.values_list("pk", flat=True)))
    ended = Order.objects.filter(state__in=ENDED)
    entries = CapitalEntry.objects.filter(kind="RESERVE", status__in=["PENDING", "RECONCILING"])
    return [
        finding("reservations without a live order", (pk for pk, rupees in held.items() if rupees and pk not in live)),
        finding("units promised to ended orders", _ids(ended.exclude(reserved_units=0))),
        finding("reservations open of ended orders", _ids(entries.exclude(order_id__in=live))),
        finding("live orders that hold the wrong amount", _wrong_holds(live, held)),
        finding("units promised that no order holds", _promised()),
        finding("trial balance", trial_balance()),
        finding("gaps in capital entries", _gaps(CapitalEntry, "capital_account", CapitalAccount, "entry_seq")),
        finding("gaps in asset transactions", _gaps(AssetTransaction, "position", Position, "transaction_seq")),
        finding("positions that do not replay", _replays()),
    ]


def _ids(rows: "QuerySet[Any]") -> Iterable[Any]:
    return rows.values_list("pk", flat=True)


def _wrong_holds(live: dict[Any, Order], held: dict[Any, Decimal]) -> Iterator[str]:
    """A delivery purchase must have its whole unexecuted value in reserve; a sale exactly its unexecuted units."""
    for pk, order in live.items():
        if order.product != "CNC":
            continue
        if order.side == "SELL" and order.reserved_units != order.remaining_quantity:
            yield f"{pk}: {order.reserved_units:f} units for {order.remaining_quantity:f}"
        if order.side == "BUY" and order.price is not None:
            need = order.remaining_quantity * order.price
            if held.get(pk, 0) < need:
                yield f"{pk}: ₹{held.get(pk, 0)} for ₹{need}"


def _promised() -> Iterator[str]:
    wanted: defaultdict[Any, Decimal] = defaultdict(Decimal)
    for order in Order.objects.exclude(reserved_units=0):
        wanted[order.portfolio_id, order.instrument_id, order.product] += order.reserved_units
    for position in Position.objects.all():
        key = (position.capital_account_id, position.instrument_id, position.product)
        if position.reserved_units != wanted[key]:
            yield f"{position}: {position.reserved_units:f} promised, orders hold {wanted[key]}"


def _gaps(rows: Any, parent: str, parents: Any, last: str) -> Iterator[str]:
    """The numbers under each parent must be exactly 1 to its last; they are unique there."""
    totals = dict(rows.objects.values_list(parent).annotate(total=Sum("seq")))
    for pk, end in parents.objects.values_list("pk", last):
        if totals.get(pk, 0) != end * (end + 1) // 2:
            yield f"{parent} {pk}: 1 to {end} is not what is there"


def _replays() -> Iterator[str]:
    for position in Position.objects.all():
        folded = replay(position)
        if folded.quantity != position.quantity or folded.allocated != position.allocated:
            yield f"{position}: {position.quantity:f} for ₹{position.allocated}, but {folded}"
