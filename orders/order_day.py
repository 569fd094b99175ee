"""The day of an order: once it is over, the order must not be sent any more and is no longer in the broker's book.

An order is for the day on which it was placed; an after-market order is for the first trading day of its exchange
after that one. Said twice, for an order in memory and for a row: the two must agree.
"""

import json
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ledger.market.calendar import Market, trading_day_before
from ledger.market.hours import HOURS
from oms.lib.clock import ist_date
from orders.types import Variety

if TYPE_CHECKING:
    from orders.models import Order

#: True of a row of orders_order, called `o`, whose day is not over. Its parameters are `day_parameters(at)`.
DAY_LASTS = """o.trade_date >= CASE o.variety WHEN 'amo'
    THEN coalesce(%(amo_from)s::jsonb ->> o.exchange, %(amo_from)s::jsonb ->> '')::date ELSE %(today)s END"""


def is_over(order: "Order", at: datetime) -> bool:
    """Whether the order was for a day that has passed."""
    today = ist_date(at)
    if order.variety == Variety.AMO:
        return order.trade_date < trading_day_before(Market(order.exchange), today)
    return order.trade_date < today


def day_parameters(at: datetime) -> dict[str, date | str]:
    """What `DAY_LASTS` needs: today, and by exchange the first date whose after-market orders still live today."""
    today = ist_date(at)
    return {"today": today, "amo_from": _amo_from(today)}


@lru_cache(maxsize=8)
def _amo_from(today: date) -> str:
    """As JSON; under the empty name for an exchange that is not listed."""
    return json.dumps({name: trading_day_before(Market(name), today).isoformat() for name in ("", *HOURS)})
