"""Orders, executions and positions here against what the exchange truly holds.

Orders meet by tag. The exchange's rows come from its control route, which no fault touches.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db.models import Count

from benchmarks.chaos.finding import Finding, finding
from benchmarks.chaos.load import Record
from ledger.models import Position
from orders.brokers.registry import broker_for
from orders.models import Amendment, BrokerAccount, Execution, Order
from orders.states import OPEN_AMENDMENTS, State

#: The broker's last word → our state, without and with executions.
STATE_OF = {
    "COMPLETE": (State.FILLED, State.FILLED),
    "CANCELLED": (State.CANCELED, State.CANCELED),
    "REJECTED": (State.REJECTED, State.CANCELED),
    "OPEN": (State.OPEN, State.PARTIALLY_FILLED),
    "TRIGGER PENDING": (State.TRIGGER_PENDING, State.PARTIALLY_FILLED),
}
NEVER_THERE = (State.REJECTED, State.CANCELED, State.LOST)
Row = dict[str, Any]


def check_truth(rows: list[Row], record: Record) -> list[Finding]:
    """Everything that the exchange can witness. `rows` are its orders with their trades."""
    legs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        legs[row["tag"] or f"untagged {row['order_id']}"].append(row)
    by_tag = {tag: _whole(found) for tag, found in legs.items()}
    ours = {order.tag: order for order in Order.objects.exclude(tag=None)}
    external = Order.objects.filter(origin="EXTERNAL")
    pairs = [(order, by_tag[tag]) for tag, order in ours.items() if tag in by_tag]
    never_there = [order for tag, order in ours.items() if tag not in by_tag]
    return [
        finding("orders at the exchange without a row here", by_tag.keys() - ours.keys()),
        finding("orders at the exchange twice", (tag for tag, found in legs.items() if _is_double(found))),
        finding("own orders taken for somebody else's", external.values_list("pk", flat=True)),
        *_against_requests(record),
        finding("live here, not at the exchange", (_told(o) for o in never_there if o.state not in NEVER_THERE)),
        finding("states that differ", (f"{_told(o)} but {row['status']}" for o, row in pairs if not _agrees(o, row))),
        finding(
            "filled quantities that differ",
            (f"{_told(o)} but {r['filled_quantity']}" for o, r in pairs if o.filled_quantity != r["filled_quantity"]),
        ),
        finding("terms that differ", (told for pair in pairs for told in _terms(*pair))),
        finding("broker order ids that differ", (_told(o) for o, row in pairs if o.broker_order_id != row["order_id"])),
        finding("executions that differ", _executions(pairs, never_there)),
        finding("positions that differ", _positions()),
    ]


def _against_requests(record: Record) -> list[Finding]:
    stored = {str(pk) for pk in Order.objects.values_list("pk", flat=True)}
    doubled = Order.objects.exclude(notes="").values("notes").annotate(rows=Count("pk")).filter(rows__gt=1)
    lost = (r.key for r in record.requests if r.order_id and r.order_id not in stored)
    return [
        finding("requests answered without a row", lost),
        finding("requests never answered", (r.key for r in record.requests if not r.status)),
        finding("keys that made two orders", doubled.values_list("notes", flat=True)),
    ]


def check_settled() -> list[Finding]:
    """What may be under way for a while, but not for long."""
    limbo = Order.objects.filter(state__in=[State.CREATED, State.SUBMITTING, State.UNKNOWN, State.ACKED])
    amendments = Amendment.objects.filter(state__in=OPEN_AMENDMENTS).select_related("order")
    # The wish to cancel an order that is lost stands until the order turns up.
    amendments = amendments.exclude(kind="CANCEL", state="QUEUED", order__state=State.LOST)
    return [
        finding("orders in limbo", (_told(order) for order in limbo)),
        finding("amendments left open", (f"{a.kind} {a.state} of {_told(a.order)}: {a.message}" for a in amendments)),
    ]


def _leg(row: Row) -> int:
    """The number of an iceberg's leg; 1 for any other order."""
    return int(row["meta"].get("iceberg", {}).get("leg", 1))


def _is_double(rows: list[Row]) -> bool:
    return len({_leg(row) for row in rows}) < len(rows)


def _whole(rows: list[Row]) -> Row:
    """The legs of an iceberg as the one order that they are."""
    rows = sorted(rows, key=_leg)
    first, last = rows[0], rows[-1]
    total = last["meta"].get("iceberg", {}).get("total_quantity", last["quantity"])
    filled = sum(row["filled_quantity"] for row in rows)
    between = last["status"] == "COMPLETE" and filled < total
    return last | {
        "order_id": first["order_id"],
        "quantity": total,
        "filled_quantity": filled,
        "status": "OPEN" if between else last["status"],
        "live": between or last["live"],
        "trades": [trade for row in rows for trade in row["trades"]],
    }


def _agrees(order: Order, row: Row) -> bool:
    return row["status"] in STATE_OF and order.state == STATE_OF[row["status"]][bool(row["filled_quantity"])]


def _terms(order: Order, row: Row) -> Iterator[str]:
    """Of what still works there, quantity and price; a protected order has the broker's own price."""
    if not row["live"]:
        return
    if order.quantity != row["quantity"]:
        yield f"{_told(order)}: quantity {order.quantity}, there {row['quantity']}"
    if order.price is not None and order.price != Decimal(str(row["price"])):
        yield f"{_told(order)}: price {order.price}, there {row['price']}"


def _executions(pairs: list[tuple[Order, Row]], never_there: list[Order]) -> Iterator[str]:
    here: dict[Any, Counter[Any]] = defaultdict(Counter)
    for e in Execution.objects.filter(reverses=None, reversed_by=None):
        here[e.order_id][e.trade_id, e.quantity, e.price.normalize()] += 1
    for order, row in pairs:
        there = Counter(
            (str(t["trade_id"]), Decimal(t["quantity"]), Decimal(str(t["average_price"])).normalize())
            for t in row["trades"]
        )
        mine = here.pop(order.pk, Counter())
        if mine != there:
            yield f"{_told(order)}: here {dict(mine - there)}, there {dict(there - mine)}"
        if sum(key[1] * n for key, n in mine.items()) != order.filled_quantity:
            yield f"{_told(order)}: Σ executions is not its filled quantity"
    for order in never_there:
        if order.pk in here:
            yield f"{_told(order)}: executed here only"


def _positions() -> Iterator[str]:
    here: Counter[tuple[str, str]] = Counter()
    for ours in Position.objects.select_related("instrument"):
        here[ours.instrument.symbol, ours.product] += int(ours.quantity)
    there: Counter[tuple[str, str]] = Counter()
    broker = broker_for(BrokerAccount.objects.get())
    for position in broker.positions():
        there[position.symbol, position.product] += int(position.quantity)
    for held in broker.holdings():
        there[held.symbol, "CNC"] += int(held.quantity + held.unsettled)
    for key in here.keys() | there.keys():
        if here[key] != there[key]:
            yield f"{key[0]} {key[1]}: {here[key]} here, {there[key]} there"


def _told(order: Order) -> str:
    return f"{order.pk} {order.state} {order.filled_quantity:f}/{order.quantity:f} {order.broker_status}"
