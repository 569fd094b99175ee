"""Icebergs: an order here, several at Kite.

Kite shows each leg as an order of its own, the next one appearing when the one before is filled. Here they
are folded into the one order that was placed, under its first leg's id. The legs of an order share its tag;
an iceberg without one (from Kite's own screens) is left as the separate orders that the book shows.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from orders.types import BrokerStatus, OrderSnapshot, TradeSnapshot, Variety


@dataclass(frozen=True, slots=True)
class Iceberg:
    """The legs of one order: `head` is the id it was placed under, `latest` the leg that can still change."""

    head: str
    latest: str
    total_quantity: Decimal


#: By the id of any leg.
Icebergs = dict[str, Iceberg]


def fold_orders(rows: Iterable[OrderSnapshot]) -> tuple[list[OrderSnapshot], Icebergs]:
    """The order book with the legs of each iceberg folded into one order, and which legs those were."""
    snapshots: list[OrderSnapshot] = []
    legs: dict[str, list[OrderSnapshot]] = defaultdict(list)
    for snapshot in rows:
        if snapshot.variety == Variety.ICEBERG and snapshot.raw.get("tag") and _meta(snapshot):
            legs[snapshot.raw["tag"]].append(snapshot)
        else:
            snapshots.append(snapshot)
    icebergs: Icebergs = {}
    for group in legs.values():
        group.sort(key=lambda leg: int(_meta(leg)["leg"]))
        whole = _fold(group)
        snapshots.append(whole)
        iceberg = Iceberg(whole.broker_order_id, group[-1].broker_order_id, whole.terms.quantity)
        icebergs |= {leg.broker_order_id: iceberg for leg in group}
    return snapshots, icebergs


def fold_trades(trades: Iterable[TradeSnapshot], icebergs: Icebergs) -> list[TradeSnapshot]:
    """The trades of legs as trades of the order that they are legs of."""
    return [
        replace(trade, broker_order_id=icebergs[trade.broker_order_id].head)
        if trade.broker_order_id in icebergs
        else trade
        for trade in trades
    ]


def _fold(legs: list[OrderSnapshot]) -> OrderSnapshot:
    first, last = legs[0], legs[-1]
    total = Decimal(_meta(last)["total_quantity"])
    filled = sum((leg.filled_quantity for leg in legs), Decimal(0))
    value = sum((leg.filled_quantity * leg.average_price for leg in legs), Decimal(0))
    # Between a filled leg and the next one the order is working, whatever the last row says.
    between = last.status == BrokerStatus.COMPLETE and filled < total
    return replace(
        last,
        broker_order_id=first.broker_order_id,
        exchange_order_id=first.exchange_order_id,
        status=BrokerStatus.OPEN if between else last.status,
        raw_status="OPEN" if between else last.raw_status,
        terms=replace(last.terms, quantity=total),
        filled_quantity=filled,
        average_price=value / filled if filled else Decimal(0),
    )


def _meta(leg: OrderSnapshot) -> dict[str, Any]:
    found = (leg.raw.get("meta") or {}).get("iceberg")
    return found if isinstance(found, dict) and {"leg", "total_quantity"} <= found.keys() else {}
