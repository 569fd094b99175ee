"""Which waiting orders may leave now: no more of a client's in a calendar second than its limit allows.

The limit counts what is *sent*, by client, exchange and calendar second. What has no room in this second waits as
CREATED for the next; what closes a position goes first. Cancels and changes are not paced.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from compliance.screening.limits import strictest
from compliance.selectors import Controls, control_reads
from oms.lib.db import Read, fetch_rows, read_all, require_transaction
from orders.order_day import DAY_LASTS, day_parameters
from orders.selectors import MAY_SEND_ORDERS, sent_in_second

#: Names PostgreSQL advisory locks: (this, account). Whoever counts what an account sent holds it until the commit.
PACE_LOCK = 0x504143


@dataclass(frozen=True, slots=True)
class _First:
    """One of the first in a line; those of an account, exchange and algorithm stand in line together."""

    order_id: UUID
    account_id: int
    exchange: str
    algo_id: str


@dataclass(frozen=True, slots=True)
class Turn:
    """The orders whose turn it is, locked, in the order to send them; and the controls that said so."""

    order_ids: Sequence[UUID]
    controls: Controls


def take_turn(broker_account_id: int, *, limit: int, at: datetime) -> Turn:
    """Lock up to `limit` waiting orders that may be sent at the instant `at`.

    Nothing is taken while the session is not open or the last poll failed. Rows that somebody else holds are
    passed over, and so are accounts whose second another worker is counting: nobody waits, and nobody counts amiss.
    """
    require_transaction()
    first = _first_in_line(broker_account_id, limit, at)
    if not first:
        return Turn((), Controls())
    accounts = sorted({one.account_id for one in first})
    limits, switches, algos, counted, sent = read_all(
        *control_reads(accounts, {one.algo_id for one in first}), _counting(accounts), sent_in_second(at)
    )
    controls = Controls(limits, switches, algos)
    mine = [one for one in first if one.account_id in counted]
    chosen = list(_within_rates(mine, _rates(mine, controls), sent))[:limit]
    return Turn(_lock_waiting(chosen), controls)


def _first_in_line(broker_account_id: int, limit: int, at: datetime) -> list[_First]:
    """The first `limit` of every line: what only closes before the rest, then the oldest.

    Reads the head of each line and no more, however many wait: the index `order_to_send` has this very order.
    """
    in_line = Read(
        f"""WITH RECURSIVE line AS (
                (SELECT o.account_id, o.exchange, o.algo_id FROM orders_order AS o
                 WHERE o.broker_account_id = %(broker)s AND o.state = 'CREATED'
                 ORDER BY o.account_id, o.exchange, o.algo_id LIMIT 1)
                UNION ALL
                SELECT next.* FROM line CROSS JOIN LATERAL (
                    SELECT o.account_id, o.exchange, o.algo_id FROM orders_order AS o
                    WHERE o.broker_account_id = %(broker)s AND o.state = 'CREATED'
                      AND (o.account_id, o.exchange, o.algo_id) > (line.account_id, line.exchange, line.algo_id)
                    ORDER BY o.account_id, o.exchange, o.algo_id LIMIT 1) AS next)
            SELECT head.opens, head.id, line.account_id, line.exchange, line.algo_id
            FROM orders_brokeraccount AS b CROSS JOIN line CROSS JOIN LATERAL (
                SELECT o.id, o.reserved_units < o.quantity AS opens FROM orders_order AS o
                WHERE o.broker_account_id = %(broker)s AND o.state = 'CREATED' AND o.broker_order_id = ''
                  AND o.account_id = line.account_id AND o.exchange = line.exchange AND o.algo_id = line.algo_id
                  AND {DAY_LASTS}
                ORDER BY o.reserved_units < o.quantity, o.id LIMIT %(limit)s) AS head
            WHERE b.id = %(broker)s AND {MAY_SEND_ORDERS}""",  # noqa: S608  no value is in it
        {"broker": broker_account_id, "limit": limit, **day_parameters(at)},
        lambda rows: [_First(*row) for _, *row in sorted(rows)],
    )
    _, found, _ = read_all(_sorting("off"), in_line, _sorting("on"))
    return list(found)


def _sorting(switch: str) -> Read[None]:
    """Planned on a table that was empty, another index and a sort look as cheap: then each claim would read all that
    waits. The statement itself must need no sort: it would outweigh whatever else the planner compares.
    """
    return Read(
        f"SELECT set_config('enable_sort', '{switch}', true), set_config('enable_incremental_sort', '{switch}', true)",
        {},
        lambda _: None,
    )


def _counting(accounts: Sequence[int]) -> Read[set[int]]:
    """Those of the accounts that nobody else is counting; theirs is ours until the commit."""
    return Read(
        """SELECT account_id FROM unnest(%(accounts)s::bigint[]) AS a(account_id)
           WHERE pg_try_advisory_xact_lock(%(pace)s, account_id::integer)""",
        {"accounts": accounts, "pace": PACE_LOCK},
        lambda rows: {account for (account,) in rows},
    )


def _rates(first: Iterable[_First], controls: Controls) -> dict[tuple[int, str], Decimal | None]:
    """Orders per second by (account, algorithm id); None is unlimited."""
    rates: dict[tuple[int, str], Decimal | None] = {}
    for account, name in {(one.account_id, one.algo_id) for one in first}:
        limit = strictest(controls.limits_on(account, controls.algo(account, name))).orders_per_second
        rates[account, name] = None if limit is None else limit.value
    return rates


def _within_rates(
    first: Iterable[_First], rates: Mapping[tuple[int, str], Decimal | None], sent: Mapping[tuple[int, str], int]
) -> Iterable[UUID]:
    """Each that its rate has room for, after those sent before it, of whatever algorithm."""
    count = Counter(sent)
    for one in first:
        rate = rates[one.account_id, one.algo_id]
        if rate is None or count[one.account_id, one.exchange] < rate:
            count[one.account_id, one.exchange] += 1
            yield one.order_id


def _lock_waiting(order_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the orders that still wait and that nobody holds, in their order."""
    rows = fetch_rows(
        # The state is compared as no partial index has it: planned on an empty table, one of all live orders looks as
        # good as the ids.
        """SELECT id FROM orders_order WHERE id = ANY(%(ids)s) AND state || '' = 'CREATED' AND broker_order_id = ''
           ORDER BY id FOR NO KEY UPDATE SKIP LOCKED""",
        {"ids": list(order_ids)},
    )
    locked = {pk for (pk,) in rows}
    return [pk for pk in order_ids if pk in locked]
