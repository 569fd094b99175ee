"""When the day of an order is over, after which it must not be sent any more and is no longer in the broker's book."""

from datetime import date, datetime, timedelta

from oms.lib.clock import ist_date
from orders.models import Order
from orders.types import Variety

SATURDAY = 5


def last_weekday(at: datetime) -> date:
    """The latest Monday to Friday before today in India.

    An after-market order is for the first session after its own day, so one from before this date has had it.
    Exchange holidays are not known here: on one, an after-market order that was not sent ends a day early.
    """
    day = ist_date(at) - timedelta(days=1)
    while day.weekday() >= SATURDAY:
        day -= timedelta(days=1)
    return day


def is_over(order: Order, at: datetime) -> bool:
    """Whether the order was for a session that has passed."""
    if order.variety == Variety.AMO:
        return order.trade_date < last_weekday(at)
    return order.trade_date < ist_date(at)
