"""One order as the exchange holds it, and the row Kite would show for it.

Belongs here: the fields, what follows from them, the row. Changing them is the work of
`exchange`; nothing here knows prices, funds or the store.
"""

from dataclasses import dataclass, field
from typing import Any

import orjson

from .money import average, to_rupees

COMPLETE, CANCELLED, REJECTED = "COMPLETE", "CANCELLED", "REJECTED"
OPEN, TRIGGER_PENDING = "OPEN", "TRIGGER PENDING"
AMO_RECEIVED, RECEIVED = "AMO REQ RECEIVED", "PUT ORDER REQ RECEIVED"
VALIDATING, OPENING = "VALIDATION PENDING", "OPEN PENDING"
MODIFY_VALIDATING, MODIFYING, MODIFIED = (
    "MODIFY VALIDATION PENDING",
    "MODIFY PENDING",
    "MODIFIED",
)
CANCELLING = "CANCEL PENDING"
TERMINAL = frozenset({COMPLETE, CANCELLED, REJECTED})
# An order in one of these can be modified or cancelled; in the others Kite says "try later".
SETTLED = frozenset({OPEN, TRIGGER_PENDING, AMO_RECEIVED})
# Fields of the book's row that rows of the history lack (as Kite's own samples do).
NOT_IN_HISTORY = frozenset({"exchange_update_timestamp", "status_message_raw", "guid", "meta", "market_protection"})


@dataclass(slots=True)
class Order:
    """Prices and values in paise, times as Kite's text.

    `resting`: at the exchange and able to match. `opening`: the part of the quantity that opens
    exposure and therefore needs margin. `sequence`: time priority. `change`: a modification on its
    way. `ghost`: reported CANCELLED but going to fill (a fault). `day`: ISO trade date.
    """

    order_id: str
    user_id: str
    api_key: str
    day: str
    variety: str
    exchange: str
    tradingsymbol: str
    instrument_token: int
    transaction_type: str
    order_type: str
    product: str
    quantity: int
    price: int
    trigger_price: int
    validity: str
    order_timestamp: str
    status: str
    validity_ttl: int = 0
    disclosed_quantity: int = 0
    tag: str | None = None
    tags: list[str] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    placed_by: str = ""
    exchange_order_id: str | None = None
    status_message: str | None = None
    status_message_raw: str | None = None
    exchange_timestamp: str | None = None
    exchange_update_timestamp: str | None = None
    filled_quantity: int = 0
    fill_value: int = 0
    charged: int = 0
    sequence: int = 0
    resting: bool = False
    triggered: bool = False
    ghost: bool = False
    modifications: int = 0
    change: dict[str, Any] | None = None
    expires_at: float | None = None
    opening: int = 0

    @property
    def is_buy(self) -> bool:
        """True for BUY."""
        return self.transaction_type == "BUY"

    @property
    def remaining(self) -> int:
        """Units not yet filled."""
        return self.quantity - self.filled_quantity

    @property
    def is_live(self) -> bool:
        """True until a terminal status."""
        return self.status not in TERMINAL

    @property
    def awaits_trigger(self) -> bool:
        """True for a stop order whose trigger has not been touched."""
        return self.order_type in ("SL", "SL-M") and not self.triggered

    def row(self) -> dict[str, Any]:
        """The row of the order book. A cancelled order keeps its pending figure, as at Kite."""
        unfilled = self.remaining
        return {
            "account_id": self.user_id,
            "placed_by": self.placed_by or self.user_id,
            "order_id": self.order_id,
            "exchange_order_id": self.exchange_order_id,
            "parent_order_id": None,
            "status": self.status,
            "status_message": self.status_message,
            "status_message_raw": self.status_message_raw,
            "order_timestamp": self.order_timestamp,
            "exchange_update_timestamp": self.exchange_update_timestamp,
            "exchange_timestamp": self.exchange_timestamp,
            "variety": self.variety,
            "modified": False,
            "exchange": self.exchange,
            "tradingsymbol": self.tradingsymbol,
            "instrument_token": self.instrument_token,
            "order_type": self.order_type,
            "transaction_type": self.transaction_type,
            "validity": self.validity,
            "validity_ttl": self.validity_ttl,
            "product": self.product,
            "quantity": self.quantity,
            "disclosed_quantity": self.disclosed_quantity,
            "price": to_rupees(self.price),
            "trigger_price": to_rupees(self.trigger_price),
            "average_price": average(self.fill_value, self.filled_quantity),
            "filled_quantity": self.filled_quantity,
            "pending_quantity": 0 if self.status in (COMPLETE, REJECTED) else unfilled,
            "cancelled_quantity": unfilled if self.status == CANCELLED else 0,
            "market_protection": 0,
            "meta": self.meta,
            "tag": self.tag,
            "tags": self.tags,
            "guid": f"PAPERX{int(self.order_id):x}",
        }

    def history_row(self) -> bytes:
        """The row of the order's history, as JSON."""
        row = self.row()
        return orjson.dumps({name: row[name] for name in row if name not in NOT_IN_HISTORY})
