"""Orders found in a broker's book that we did not send: adopted as EXTERNAL, so that positions and reports are whole.

They are read-only here. Nothing is reserved for them; what they execute is booked like any fact from the market.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from compliance.audit import EventType
from ledger.selectors import instruments_named, portfolio_ids_of
from oms.lib.actors import BROKER
from oms.lib.clock import ist_date
from oms.lib.db import read
from oms.lib.ids import new_id
from orders.models import BrokerAccount, Order
from orders.services.desk import Desk
from orders.services.endings import progress
from orders.services.isolation import apply_isolated, report_not_applied
from orders.states import Event
from orders.types import PRICED, STOPS, OrderSnapshot, OrderType


def adopt(broker_account_id: int, strangers: Sequence[OrderSnapshot], *, at: datetime) -> list[Order]:
    """Take in orders that are not ours, under the broker account's default account; their progress is applied after.

    One that does not fit, say without a quantity, keeps none of the others out: an alert names it.
    """
    adopted: dict[str, Order] = {}
    apply_isolated(
        strangers,
        partial(_adopt, broker_account_id, adopted=adopted, at=at),
        give_up=partial(_alert_of_lost_stranger, broker_account_id, at=at),
    )
    return list(adopted.values())


def _alert_of_lost_stranger(broker_account_id: int, snapshot: OrderSnapshot, error: Exception, *, at: datetime) -> None:
    said = f"What the broker says of order {snapshot.broker_order_id[:60]}, which was not sent from here,"
    key = f"row-not-applied:{broker_account_id}:{snapshot.broker_order_id}"
    report_not_applied(said, error, key=key, at=at)


def _adopt(
    broker_account_id: int, strangers: Sequence[OrderSnapshot], *, adopted: dict[str, Order], at: datetime
) -> None:
    # One adopter at a time, so that two polls do not adopt the same order under two ids.
    rows = BrokerAccount.objects.select_related("default_account").select_for_update(of=("self",), no_key=True)
    broker_account = rows.get(pk=broker_account_id)
    # By id alone: whose tag it bears was judged, and it may be the second row with that tag.
    ids = Order.objects.filter(broker_account_id=broker_account_id).values_list("broker_order_id", flat=True)
    already = set(ids.filter(broker_order_id__in=[s.broker_order_id for s in strangers]).exclude(broker_order_id=""))
    strangers = [s for s in strangers if s.broker_order_id not in already]
    owned = read(portfolio_ids_of([broker_account.default_account_id]))[broker_account.default_account_id]
    if not strangers or not owned:
        return
    instruments = read(instruments_named((s.exchange, s.symbol) for s in strangers))
    desk = Desk(actor=BROKER, at=at)
    for snapshot in strangers:
        instrument = instruments.get((snapshot.exchange, snapshot.symbol))
        order = _external(snapshot, broker_account, next(iter(owned.values())), at)
        if instrument is not None:
            order.instrument_id, order.segment = instrument.pk, instrument.segment
        desk.add(order)
        owner = {"account": broker_account.default_account.code, "ucc": broker_account.default_account.ucc}
        desk.note(order, EventType.ORDER_ADOPTED, owner | _described(order, snapshot))
        progress(desk, order, Event.ACK, {"broker_order_id": order.broker_order_id})
    desk.alert(
        order, key=f"external:{broker_account_id}:{ist_date(at)}", kind="EXTERNAL_ORDER",
        summary=f"Orders that were not sent from here appeared at {broker_account.name}, the latest {order}",
    )  # fmt: skip
    _warn_of_doubles(desk, broker_account_id, strangers)
    desk.write()
    adopted |= {order.broker_order_id: order for order in desk.orders.values()}


def _warn_of_doubles(desk: Desk, broker_account_id: int, strangers: Sequence[OrderSnapshot]) -> None:
    """A stranger that bears the tag of an order of ours: it was sent twice, or the broker made two of it."""
    bearers = {tag: snapshot for snapshot in strangers for tag in snapshot.tags}
    for ours in Order.objects.filter(broker_account_id=broker_account_id, tag__in=bearers):
        snapshot = bearers[ours.tag or ""]
        desk.alert(
            ours, key=f"doubled:{ours.id}", kind="DOUBLED_AT_BROKER", severity="CRITICAL",
            summary=f"The broker has more than one order with the tag {ours.tag} of {ours}: besides "
            f"{ours.broker_order_id or 'the first'} also {snapshot.broker_order_id}, taken in as not sent from here",
            details={"order": str(ours.id), "broker_order_id": snapshot.broker_order_id},
        )  # fmt: skip


def _external(snapshot: OrderSnapshot, broker_account: BrokerAccount, portfolio_id: int, at: datetime) -> Order:
    terms = snapshot.terms
    return Order(
        id=new_id(), account_id=broker_account.default_account_id, portfolio_id=portfolio_id,
        broker_account_id=broker_account.pk, origin=Order.Origin.EXTERNAL, exchange=snapshot.exchange,
        symbol=snapshot.symbol, side=snapshot.side, type=_type_that_fits(snapshot), product=snapshot.product,
        variety=snapshot.variety[:8], time_in_force=terms.time_in_force, quantity=terms.quantity,
        price=terms.price if terms.type in PRICED else None,
        stop_price=terms.stop_price if terms.type in STOPS else None,
        disclosed_quantity=terms.disclosed_quantity, broker_order_id=snapshot.broker_order_id,
        trade_date=ist_date(at), created_at=at, updated_at=at,
    )  # fmt: skip


def _type_that_fits(snapshot: OrderSnapshot) -> str:
    """The broker's type, or MARKET when the row lacks the price that its type needs."""
    terms = snapshot.terms
    if (terms.type in PRICED and terms.price is None) or (terms.type in STOPS and terms.stop_price is None):
        return OrderType.MARKET.value
    return str(terms.type)


def _described(order: Order, snapshot: OrderSnapshot) -> dict[str, object]:
    return {
        "broker_order_id": order.broker_order_id, "segment": order.segment, "exchange": order.exchange,
        "symbol": order.symbol, "side": order.side, "order_type": order.type, "product": order.product,
        "quantity": order.quantity,
        "price": order.price, "stop_price": order.stop_price, "broker_status": snapshot.raw_status,
        "tags": list(snapshot.tags),
    }  # fmt: skip
