"""Reading orders. Every queryset for a person is filtered by that person's accounts."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import QuerySet

from compliance.selectors import accounts_visible_to, raised_among
from ledger.selectors import instruments_held
from oms.lib.db import Read, fetch_rows, nothing_asked, read_all
from oms.lib.money import ZERO
from oms.lib.users import User
from orders import alert_keys
from orders.models import Amendment, Execution, Order, Routing
from orders.states import LIVE, OPEN_AMENDMENTS
from orders.types import OrderSnapshot, Side, TradeSnapshot

Row = TypeVar("Row", Execution, Amendment)
# In the statement's text, not a parameter: a plan that is made once cannot otherwise use the indexes of live orders.
_LIVE = ", ".join(f"'{state}'" for state in sorted(LIVE))
#: Whether anything may be sent for a broker account, its row being `b`. Orders besides need somebody who watches them;
#: cancels and changes go all the same, since what they are about is out there already.
HAS_SESSION = "b.session_state = 'OPEN'"
MAY_SEND_ORDERS = f"{HAS_SESSION} AND b.poll_message = ''"
#: A book that nothing of ours is live in is read so often (a little less than five beats of a second).
QUIET = timedelta(seconds=4.5)
OPEN_AMENDMENTS_TEXT = ", ".join(f"'{state}'" for state in sorted(OPEN_AMENDMENTS))


def orders_visible_to(user: User) -> "QuerySet[Order]":
    """The orders of the user's accounts."""
    return Order.objects.filter(account__in=accounts_visible_to(user))


@dataclass(frozen=True, slots=True)
class Route:
    """Where an account's orders go: the broker account, whether its market never closes, whether it is logged in."""

    broker_account_id: int
    always_open: bool
    has_session: bool


def routes_of(account_ids: Sequence[int]) -> Read[dict[int, Route]]:
    """The route of each account that has one."""
    return Read(
        """SELECT r.account_id, b.id, b.trading_hours = 'ALWAYS', b.session_state = 'OPEN'
           FROM orders_routing AS r JOIN orders_brokeraccount AS b ON b.id = r.broker_account_id
           WHERE r.account_id = ANY(%(ids)s)""",
        {"ids": list(account_ids)},
        lambda rows: {account: Route(*route) for account, *route in rows},
    )


def waiting_to_send(queues: Iterable[tuple[int, int]]) -> Read[dict[tuple[int, str], int]]:
    """Orders accepted and not yet sent, by (account, exchange), of the given (broker account, account)."""
    pairs = sorted(set(queues))
    # Compared as rows and grouped by nothing that leads an index, so that no plan reads all orders of an account.
    return Read(
        """SELECT k.account, w.exchange, w.waiting
           FROM unnest(%(brokers)s::bigint[], %(accounts)s::bigint[]) AS k(broker, account)
           CROSS JOIN LATERAL (
               SELECT o.exchange, count(*) AS waiting FROM orders_order AS o
               WHERE (o.broker_account_id, o.account_id) >= (k.broker, k.account)
                 AND (o.broker_account_id, o.account_id) <= (k.broker, k.account) AND o.state = 'CREATED'
               GROUP BY o.exchange) AS w""",
        {"brokers": [broker for broker, _ in pairs], "accounts": [account for _, account in pairs]},
        lambda rows: {(account, exchange): count for account, exchange, count in rows},
    )


def sent_in_second(at: datetime) -> Read[Counter[tuple[int, str]]]:
    """Orders whose attempt to send began in the calendar second of `at`, by (account, exchange).

    Of all accounts, and counted here: few leave in a second, and no plan can find another index of use.
    """
    second = at.replace(microsecond=0)
    return Read(
        "SELECT account_id, exchange FROM orders_order WHERE sent_at >= %(from)s AND sent_at < %(to)s",
        {"from": second, "to": second + timedelta(seconds=1)},
        Counter,
    )


def open_values(account_ids: Sequence[int]) -> Read[dict[int, Decimal]]:
    """Rupees in working and unconfirmed orders, by account: what is unexecuted at its price."""
    return Read(
        f"""SELECT account_id, sum((quantity - filled_quantity) * coalesce(price, stop_price, price_at_entry, 0))
           FROM orders_order WHERE account_id = ANY(%(ids)s) AND state IN ({_LIVE}) GROUP BY account_id""",  # noqa: S608
        {"ids": list(account_ids)},
        dict,
    )


def working_units(account_ids: Sequence[int]) -> Read[dict[tuple[int, int, str], Decimal]]:
    """Signed units still to execute in working and unconfirmed orders, by (account, instrument, side)."""
    return Read(
        f"""SELECT account_id, instrument_id, side,
                   sum((quantity - filled_quantity) * CASE side WHEN 'BUY' THEN 1 ELSE -1 END)
            FROM orders_order WHERE account_id = ANY(%(ids)s) AND state IN ({_LIVE}) GROUP BY 1, 2, 3""",  # noqa: S608
        {"ids": list(account_ids)},
        lambda rows: {(account, instrument, side): units for account, instrument, side, units in rows},
    )


def projected_positions(
    held: Mapping[tuple[int, int], Decimal], working: Mapping[tuple[int, int, str], Decimal]
) -> dict[tuple[int, int, str], Decimal]:
    """Signed units by (account, instrument, side) if every working order of that side executed.

    `held` as `ledger.selectors.held_units` reads it, `working` as `working_units`.
    """
    projected = dict(working)
    for (account, instrument), units in held.items():
        for side in Side:
            key = (account, instrument, str(side))
            projected[key] = projected.get(key, ZERO) + units
    return projected


#: What makes two orders equal for the duplicate guard.
Fingerprint = tuple[Any, ...]


def recent_fingerprints(account_ids: Sequence[int], since: datetime) -> Read[set[Fingerprint]]:
    """The orders let through since an instant; see `orders.services.surroundings.fingerprint`."""
    return Read(
        """SELECT account_id, exchange, symbol, side, type, product, quantity, price, stop_price FROM orders_order
           WHERE account_id = ANY(%(ids)s) AND created_at >= %(since)s AND tag IS NOT NULL""",
        {"ids": list(account_ids), "since": since},
        set,
    )


def references_used(references: Iterable[tuple[int, str]]) -> Read[set[tuple[int, str]]]:
    """Of (account, client order id), those that name an order already, refused ones included."""
    pairs = sorted(set(references))
    used: Read[set[tuple[int, str]]] = Read(
        """SELECT o.account_id, o.client_order_id FROM orders_order AS o
           JOIN unnest(%(accounts)s::bigint[], %(references)s::text[]) AS k(account_id, reference)
             ON o.account_id = k.account_id AND o.client_order_id = k.reference
           WHERE o.client_order_id <> ''""",
        {"accounts": [account for account, _ in pairs], "references": [reference for _, reference in pairs]},
        set,
    )
    return used if pairs else nothing_asked(used)


@dataclass(frozen=True, slots=True)
class Known:
    """What we hold of an order that a broker's row speaks of; enough to see whether the row says anything new."""

    id: UUID
    tag: str
    broker_order_id: str
    exchange_order_id: str
    broker_status: str
    state: str
    filled_quantity: Decimal
    quantity: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    type: str
    has_open_amendment: bool


def known_orders(broker_account_id: int, snapshots: Iterable[OrderSnapshot]) -> dict[str, Known]:
    """Our orders by the broker order id of the rows that speak of them; strangers are absent. One query.

    A row is ours by its broker order id, or by its tag while our order has no broker order id yet. Then the first row
    with the tag is the order's; another one with it is a stranger's.
    """
    rows = list(snapshots)
    found = fetch_rows(
        f"""SELECT o.id, coalesce(o.tag, ''), o.broker_order_id, o.exchange_order_id, o.broker_status, o.state,
                  o.filled_quantity, o.quantity, o.price, o.stop_price, o.type,
                  EXISTS (SELECT 1 FROM orders_amendment AS a
                          WHERE a.order_id = o.id AND a.state IN ({OPEN_AMENDMENTS_TEXT}))
           FROM orders_order AS o
           WHERE o.broker_account_id = %(broker)s
             AND (o.broker_order_id <> '' AND o.broker_order_id = ANY(%(ids)s)
                  OR o.broker_order_id = '' AND o.tag = ANY(%(tags)s))""",  # noqa: S608
        {
            "broker": broker_account_id,
            "ids": [row.broker_order_id for row in rows],
            "tags": [tag for row in rows for tag in row.tags],
        },
    )
    known = [Known(*row) for row in found]
    by_id = {order.broker_order_id: order for order in known if order.broker_order_id}
    by_tag = {order.tag: order for order in known if not order.broker_order_id}
    ours: dict[str, Known] = {}
    taken: dict[UUID, str] = {}
    for row in rows:
        order = by_id.get(row.broker_order_id) or next((by_tag[t] for t in row.tags if t in by_tag), None)
        if order is not None and taken.setdefault(order.id, row.broker_order_id) == row.broker_order_id:
            ours[row.broker_order_id] = order
    return ours


def orders_with_unseen_trades(broker_account_id: int, trades: Sequence[TradeSnapshot]) -> set[str]:
    """Broker order ids of those trades that say something new. One query, one probe of an index for each trade.

    New is what is not recorded, and what is recorded with another quantity or price while nobody has been
    alerted to that; only then is there a second query.
    """
    if not trades:
        return set()
    rows = fetch_rows(
        """SELECT t.broker_order_id, e.id
           FROM unnest(%(exchanges)s::text[], %(orders)s::text[], %(trades)s::text[], %(dates)s::date[],
                       %(quantities)s::numeric[], %(prices)s::numeric[])
                AS t(exchange, broker_order_id, trade_id, trade_date, quantity, price)
           LEFT JOIN LATERAL (
               SELECT e.id, e.quantity, e.price FROM orders_execution AS e
               WHERE e.broker_account_id = %(broker)s AND e.exchange = t.exchange
                 AND e.broker_order_id = t.broker_order_id AND e.trade_id = t.trade_id AND e.trade_date = t.trade_date
               LIMIT 1) AS e ON true
           WHERE e.id IS NULL OR (e.quantity, e.price) <> (t.quantity, t.price)""",
        {
            "broker": broker_account_id,
            "exchanges": [t.exchange for t in trades],
            "orders": [t.broker_order_id for t in trades],
            "trades": [t.trade_id for t in trades],
            "dates": [t.trade_date for t in trades],
            "quantities": [t.quantity for t in trades],
            "prices": [t.price for t in trades],
        },
    )
    changed = {execution: alert_keys.trade_changed(execution) for _, execution in rows if execution is not None}
    told = raised_among(changed.values())
    return {broker_order_id for broker_order_id, execution in rows if changed.get(execution) not in told}


def by_order(rows: Iterable[Row]) -> dict[UUID, list[Row]]:
    """What belongs to an order, by its id, in the order in which it came; nothing for an order that has none."""
    grouped: dict[UUID, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.order_id].append(row)
    return grouped


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a poll is to bring news of besides what is new: whether the outcome of any order is unknown, and the broker
    order ids of those that a change is under way for.
    """

    unknown: bool
    amended: set[str]


def awaited(broker_account_id: int) -> Awaited:
    """See Awaited. One query."""
    rows = fetch_rows(
        f"""SELECT '' WHERE EXISTS (SELECT 1 FROM orders_order AS o
                                    WHERE o.broker_account_id = %(broker)s AND o.state = 'UNKNOWN')
            UNION ALL
            SELECT o.broker_order_id FROM orders_amendment AS a JOIN orders_order AS o ON o.id = a.order_id
            WHERE o.broker_account_id = %(broker)s AND a.state IN ({OPEN_AMENDMENTS_TEXT})
              AND o.broker_order_id <> ''""",  # noqa: S608
        {"broker": broker_account_id},
    )
    named = {broker_order_id for (broker_order_id,) in rows}
    return Awaited("" in named, named - {""})


def due_polls(*, at: datetime, quiet: timedelta = QUIET) -> list[int]:
    """Broker accounts, logged in, whose book is to be read now.

    Every time while an order of theirs is live or the last poll failed, else when it has not been read for
    `quiet`: only an order from elsewhere can be news then.
    """
    rows = fetch_rows(
        f"""SELECT b.id FROM orders_brokeraccount AS b WHERE {HAS_SESSION} AND (
                b.polled_at IS NULL OR b.polled_at <= %(quiet_since)s OR b.poll_message <> ''
                OR EXISTS (SELECT 1 FROM orders_order AS o WHERE o.broker_account_id = b.id AND o.state IN ({_LIVE})))
            ORDER BY b.id""",  # noqa: S608
        {"quiet_since": at - quiet},
    )
    return [pk for (pk,) in rows]


def instruments_in_use(broker_account_id: int) -> list[int]:
    """Instruments that the accounts of a broker account hold or work an order in: their prices matter most."""
    accounts = list(Routing.objects.filter(broker_account_id=broker_account_id).values_list("account_id", flat=True))
    worked: Read[set[int]] = Read(
        f"""SELECT DISTINCT instrument_id FROM orders_order
            WHERE broker_account_id = %(broker)s AND state IN ({_LIVE}) AND instrument_id IS NOT NULL""",  # noqa: S608
        {"broker": broker_account_id},
        lambda rows: {instrument for (instrument,) in rows},
    )
    held, working = read_all(instruments_held(accounts), worked)
    return sorted(held | working)


_ORDER_WAITS = f"""({MAY_SEND_ORDERS} AND EXISTS (
    SELECT 1 FROM orders_order AS o
    WHERE o.broker_account_id = b.id AND o.state = 'CREATED' AND o.broker_order_id = ''))"""  # noqa: S608
_AMENDMENT_WAITS = f"""({HAS_SESSION} AND EXISTS (
    SELECT 1 FROM orders_amendment AS a JOIN orders_order AS o ON o.id = a.order_id
    WHERE a.state = 'QUEUED' AND a.due_at <= %(at)s AND o.broker_account_id = b.id AND o.broker_order_id <> ''))"""  # noqa: S608


def with_work_waiting(*, at: datetime) -> list[int]:
    """Broker accounts with an order that may be sent or an amendment that is due."""
    statement = f"SELECT b.id FROM orders_brokeraccount AS b WHERE {_ORDER_WAITS} OR {_AMENDMENT_WAITS}"  # noqa: S608
    return [pk for (pk,) in fetch_rows(statement, {"at": at})]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be sent for one broker account, and when its present session was opened."""

    orders: bool
    amendments: bool
    session_opened_at: datetime | None

    @property
    def anything(self) -> bool:
        return self.orders or self.amendments


def waiting_for(broker_account_id: int, *, at: datetime) -> Waiting:
    """See Waiting. One query."""
    rows = fetch_rows(
        f"""SELECT {_ORDER_WAITS}, {_AMENDMENT_WAITS}, b.session_opened_at
            FROM orders_brokeraccount AS b WHERE b.id = %(broker)s""",  # noqa: S608
        {"at": at, "broker": broker_account_id},
    )
    return Waiting(*rows[0])
