"""The exchange: takes orders in, moves them through Kite's statuses, fills, modifies, cancels.

Belongs here: the order of events and who may act on an order. Rules are in `checks` and `intake`,
crossing in `matching`, money in `account`, the end of a day in `day`. Everything here runs on one
thread, and nothing is told to anybody before it is written (`book.unit`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from . import checks, intake, orders
from .book import Book
from .charges import charges_of
from .clock import Clock, stamp
from .errors import InputError, NetworkError, OrderError
from .faults import ORDER_KINDS, Fault, Faults
from .identifiers import Identifiers
from .market import Market, Quote
from .matching import Fill, allocate, is_triggered
from .money import to_rupees
from .orders import Order
from .requests import ModifyRequest, OrderRequest
from .risk import Risk
from .session import Session

Schedule = Callable[[float, Callable[[str], None], str], object]
MAX_MODIFICATIONS = "Maximum allowed order modifications exceeded."


@dataclass
class Exchange:
    """`schedule(seconds, step, order_id)` runs a later step; `latency` is between two of them."""

    clock: Clock
    market: Market
    book: Book
    faults: Faults
    risk: Risk
    identifiers: Identifiers
    schedule: Schedule
    latency: float = 0.005
    max_modifications: int = 25
    sequence: int = 0

    def place(self, session: Session, request: OrderRequest, extra_tags: tuple[str, ...] = ()) -> str:
        """Take an order in and return its id. Raises KiteError for what the door refuses."""
        instrument = intake.find(self.market.catalogue, request, self.clock)
        order = intake.build(self.identifiers.order_id(), session, request, instrument, self.market, self.clock)
        order.tags.extend(extra_tags)
        self.risk.admit(order)
        with self.book.unit():
            self.book.advance(order, order.status)
        self.risk.reserve(order, accepted=False)
        self.schedule(self.latency, self.arrive, order.order_id)
        return order.order_id

    def modify(self, session: Session, variety: str, order_id: str, request: ModifyRequest) -> None:
        """Send a modification on its way. Raises KiteError when it cannot be."""
        order = self._own(session, variety, order_id, "modified")
        if self.max_modifications and order.modifications >= self.max_modifications:
            raise NetworkError(MAX_MODIFICATIONS, 400)
        instrument, quote = self.risk.listing(order)
        change = intake.changes(order, request, instrument, quote)
        opening = self.risk.opening_after(order, change["quantity"])
        self.risk.require_funds(replace(order, **change, opening=opening))
        order.modifications += 1
        order.order_timestamp = stamp(self.clock.now())
        with self.book.unit():
            if order.status == orders.AMO_RECEIVED:
                self._apply(order, change)
                self.book.advance(order, orders.AMO_RECEIVED)
                self.book.tell(order, "UPDATE")
                return
            order.change = change
            self.book.advance(order, orders.MODIFY_VALIDATING)
        self.schedule(self.latency, self.finish_modification, order_id)

    def cancel(self, session: Session, variety: str, order_id: str) -> None:
        """Send a cancellation on its way. Raises KiteError when it cannot be."""
        order = self._own(session, variety, order_id, "cancelled")
        order.order_timestamp = stamp(self.clock.now())
        with self.book.unit():
            if order.status == orders.AMO_RECEIVED:
                self.end(order)
                return
            self.book.advance(order, orders.CANCELLING)
        self.schedule(self.latency, self.finish_cancellation, order_id)

    def arrive(self, order_id: str) -> None:
        """An order taken in reaches the risk system and the exchange, or is rejected."""
        order = self.book.orders[order_id]
        if order.status not in (orders.AMO_RECEIVED, orders.RECEIVED):
            return
        if order.status == orders.AMO_RECEIVED and not self.clock.is_open():
            return
        with self.book.unit():
            if order.status == orders.AMO_RECEIVED:
                order.day = self.clock.today().isoformat()
                self.book.advance(order, orders.RECEIVED)
            self.book.advance(order, orders.VALIDATING)
            refused = self.risk.refusal(order) if self.clock.is_open() else checks.CLOSED
            if refused:
                self.risk.release(order)
                self.book.advance(order, orders.REJECTED, refused.message, refused.raw)
                self.book.tell(order, orders.REJECTED)
                return
            self.risk.reserve(order)
            self.book.advance(order, orders.OPENING)
            self._open(order)

    def finish_modification(self, order_id: str) -> None:
        """The exchange answers a modification: applied, or refused and the order as it was."""
        order = self.book.orders[order_id]
        change = order.change
        if change is None or not order.is_live:
            return
        with self.book.unit():
            self.book.advance(order, orders.MODIFYING)
            refused = self.risk.refusal(replace(order, **change))
            if change["quantity"] <= order.filled_quantity:
                refused = checks.Rejection("The quantity was filled before it was modified.", "")
            if refused:
                order.change = None
                self.book.advance(order, self._resting_status(order), refused.message, refused.raw)
            else:
                self.book.advance(order, orders.MODIFIED)
                self._apply(order, change)
                self._stamp(order)
                self.book.advance(order, self._resting_status(order))
            self.book.tell(order, "UPDATE")
            self._expose(order)

    def finish_cancellation(self, order_id: str) -> None:
        """The exchange confirms a cancellation, unless the order was filled first."""
        order = self.book.orders[order_id]
        if order.status == orders.CANCELLING:
            with self.book.unit():
                self.end(order, ghost=self._ghost(order, "cancel"))

    def end(self, order: Order, message: str | None = None, ghost: Fault | None = None) -> None:
        """Cancel what is left; with the fault `ghost` only seemingly."""
        order.resting, order.change = False, None
        self.risk.release(order)
        self._stamp(order)
        if ghost:
            order.ghost = True
            self.schedule(ghost.seconds, self.fill_ghost, order.order_id)
        self.book.advance(order, orders.CANCELLED, message)
        self.book.tell(order, orders.CANCELLED)

    def fill_ghost(self, order_id: str) -> None:
        """An order that was reported cancelled turns out to have been filled."""
        order = self.book.orders[order_id]
        if not order.ghost:
            return
        order.ghost = False
        _, quote = self.risk.listing(order)
        better = min if order.is_buy else max
        price = better(order.price or quote.last, quote.last)
        with self.book.unit():
            self._fill(order, Fill(order_id, order.remaining, price))

    def match(self, token: int) -> None:
        """Trigger and fill the resting orders of one instrument at its last price."""
        resting = self.book.resting.get(token)
        if not resting:
            return
        quote = self.market.quotes[token]
        with self.book.unit():
            for order in resting.values():
                self._trigger(order, quote)
            for is_buy, available in ((True, quote.buyable), (False, quote.sellable)):
                side = [o for o in resting.values() if o.is_buy == is_buy and not o.awaits_trigger]
                for fill in allocate(side, last_price=quote.last, available=available):
                    self._fill(resting[fill.order_id], fill)

    def recover(self) -> None:
        """After a restart: reserve for live orders, and take up the steps that were on their way."""
        self.risk.recover(self.book.live())
        for order in list(self.book.orders.values()):
            self.sequence = max(self.sequence, order.sequence)
            step = {
                orders.RECEIVED: self.arrive,
                orders.CANCELLING: self.finish_cancellation,
                orders.MODIFY_VALIDATING: self.finish_modification,
            }.get(order.status)
            if order.ghost:
                step = self.fill_ghost
            if step:
                self.schedule(self.latency, step, order.order_id)

    def _open(self, order: Order) -> None:
        order.exchange_order_id = self.identifiers.exchange_id()
        order.resting = True
        self._queue(order)
        self._stamp(order)
        order.exchange_timestamp = order.exchange_update_timestamp
        self.book.advance(order, self._resting_status(order))
        self.book.tell(order, "OPEN")
        ghost = self._ghost(order, "place")
        if ghost:
            self.end(order, "The order was cancelled by the exchange.", ghost)
            return
        self._expose(order)

    def _ghost(self, order: Order, route: str) -> Fault | None:
        if order.meta:
            return None  # a leg of an iceberg: filled after all, it would bring on the next
        struck = self.faults.draw(ORDER_KINDS, route)
        return struck[0] if struck else None

    def _expose(self, order: Order) -> None:
        """Trade one order against what is left of this tick, as it arrives or has changed."""
        _, quote = self.risk.listing(order)
        self._trigger(order, quote)
        if order.awaits_trigger or not order.resting:
            return
        available = quote.buyable if order.is_buy else quote.sellable
        for fill in allocate([order], last_price=quote.last, available=available):
            self._fill(order, fill)
        if order.validity == "IOC" and order.resting:
            self.end(order, "Immediate or cancel: the unfilled quantity was cancelled.")

    def _trigger(self, order: Order, quote: Quote) -> None:
        if order.awaits_trigger and is_triggered(order, quote.last):
            order.triggered = True
            self._queue(order)
            self._stamp(order)
            pending = order.status != orders.TRIGGER_PENDING
            self.book.advance(order, order.status if pending else orders.OPEN)
            self.book.tell(order, "UPDATE")

    def _fill(self, order: Order, fill: Fill) -> None:
        instrument, quote = self.risk.listing(order)
        account = self.risk.account(order)
        now = self.clock.now()
        order.filled_quantity += fill.quantity
        order.fill_value += fill.quantity * fill.price
        self._stamp(order)
        order.exchange_timestamp = order.exchange_update_timestamp
        quote.take(order.is_buy, fill.quantity, fill.price, now)
        account.trade(instrument, order.product, order.is_buy, fill.quantity, fill.price)
        charges = charges_of(instrument, order.product, order.transaction_type, order.fill_value)
        account.cash -= charges.paise - order.charged
        order.charged = charges.paise
        self.book.touch(account)
        self.book.add_trade(order, self._trade_row(order, fill), now.date().isoformat())
        if order.remaining:
            self.risk.reserve(order)
            self.book.advance(order, order.status, order.status_message, order.status_message_raw)
            self.book.tell(order, "UPDATE")
            return
        order.resting, order.change = False, None
        account.release(order.order_id)
        self.book.advance(order, orders.COMPLETE)
        self.book.tell(order, orders.COMPLETE)
        self._next_leg(order)

    def _next_leg(self, order: Order) -> None:
        """An iceberg shows its next leg when the one before is filled."""
        iceberg = order.meta.get("iceberg")
        if not iceberg or not iceberg["remaining_quantity"]:
            return
        quantity = min(iceberg["leg_quantity"], iceberg["remaining_quantity"])
        rest = iceberg["remaining_quantity"] - quantity
        meta = {"iceberg": {**iceberg, "leg": iceberg["leg"] + 1, "remaining_quantity": rest}}
        leg = replace(
            order,
            order_id=self.identifiers.order_id(),
            status=orders.RECEIVED,
            meta=meta,
            quantity=quantity,
            exchange_order_id=None,
            exchange_timestamp=None,
            exchange_update_timestamp=None,
            filled_quantity=0,
            fill_value=0,
            charged=0,
            disclosed_quantity=min(order.disclosed_quantity, quantity),
            modifications=0,
            order_timestamp=stamp(self.clock.now()),
            tags=list(order.tags),
            opening=quantity,
        )
        self.book.advance(leg, orders.RECEIVED)
        self.schedule(self.latency, self.arrive, leg.order_id)

    def _trade_row(self, order: Order, fill: Fill) -> dict[str, Any]:
        return {
            "trade_id": self.identifiers.exchange_id(),
            "order_id": order.order_id,
            "exchange": order.exchange,
            "tradingsymbol": order.tradingsymbol,
            "instrument_token": order.instrument_token,
            "product": order.product,
            "average_price": to_rupees(fill.price),
            "quantity": fill.quantity,
            "exchange_order_id": order.exchange_order_id,
            "transaction_type": order.transaction_type,
            "fill_timestamp": order.exchange_timestamp,
            "order_timestamp": (order.exchange_timestamp or "")[11:],
            "exchange_timestamp": order.exchange_timestamp,
        }

    def _apply(self, order: Order, change: dict[str, Any]) -> None:
        loses_priority = (
            change["price"] != order.price
            or change["quantity"] > order.quantity
            or change["order_type"] != order.order_type
        )
        if change["trigger_price"] != order.trigger_price:
            order.triggered = False
        if change["validity_ttl"] != order.validity_ttl:
            order.expires_at = intake.expiry(change["validity"], change["validity_ttl"], self.clock.now())
        order.opening = self.risk.opening_after(order, change["quantity"])
        for name, value in change.items():
            setattr(order, name, value)
        order.change = None
        if loses_priority:
            self._queue(order)
        self.risk.reserve(order, accepted=order.resting)

    def _own(self, session: Session, variety: str, order_id: str, verb: str) -> Order:
        order = self.book.by_user.get(session.user_id, {}).get(order_id)
        if order is None:
            raise OrderError("Couldn't find that `order_id`.")
        if order.variety != variety:
            raise InputError(f"Invalid `variety`. The order's variety is {order.variety}.")
        if not order.is_live:
            raise InputError(f"Order cannot be {verb} as it is {order.status} already.")
        if order.status not in orders.SETTLED:
            raise InputError(f"Order cannot be {verb} as it is being processed. Try later.")
        return order

    def _queue(self, order: Order) -> None:
        self.sequence += 1
        order.sequence = self.sequence

    def _stamp(self, order: Order) -> None:
        order.exchange_update_timestamp = stamp(self.clock.now())

    @staticmethod
    def _resting_status(order: Order) -> str:
        return orders.TRIGGER_PENDING if order.awaits_trigger else orders.OPEN
