"""Following the event log in commit order into a Redis stream, from which everybody else reads.

`id` order is not commit order: a late-committing row would be skipped for good. So the reader goes by
(xid, id) and stays below the oldest transaction still running. The stream's own entry ids are
`<xid>-<id>`: the stream is its own cursor, and publishing the same event twice is refused by Redis.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from django.db import connection

from oms.lib.db import fetch_rows

STREAM = "order_events_stream"
#: Entries kept for those who resume; the log itself is in the database.
KEEP = 200_000
BATCH = 1000
COUNTED = 10_000
PUBLISHER_LOCK = 0x504F4D53

_NEXT = """SELECT xid, id, order_id, account_id, seq, event_type, recorded_at, c14n FROM compliance_orderevent
    WHERE (xid, id) > (%(xid)s, %(id)s) AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    ORDER BY xid, id LIMIT %(limit)s"""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the commit order; `text` is its form as a stream entry id and as an SSE id."""

    xid: int
    id: int

    @property
    def text(self) -> str:
        return f"{self.xid}-{self.id}"


def last_published(server: "redis.Redis") -> Position:
    """Where the stream ends; (0, 0) for an empty one."""
    newest: Any = server.xrevrange(STREAM, count=1)
    if not newest:
        return Position(0, 0)
    xid, _, pk = newest[0][0].partition("-")
    return Position(int(xid), int(pk))


def publish_batch(server: "redis.Redis", after: Position) -> tuple[Position, int]:
    """Publish what was committed after a position, up to BATCH events; returns the new position and how many.

    Raises redis.ResponseError when another publisher got there first: read `last_published` again.
    """
    rows = fetch_rows(_NEXT, {"xid": after.xid, "id": after.id, "limit": BATCH})
    if not rows:
        return after, 0
    # All or nothing: a later event that gets in while an earlier one is refused would hide it for good.
    with server.pipeline(transaction=True) as pipe:
        for xid, pk, order_id, account_id, seq, event_type, recorded_at, c14n in rows:
            entry: Any = {
                "event_id": str(pk), "order_id": str(order_id or ""), "account_id": str(account_id), "seq": str(seq),
                "event_type": event_type, "timestamp": recorded_at.isoformat(), "document": bytes(c14n).decode(),
            }  # fmt: skip
            pipe.xadd(STREAM, entry, id=f"{xid}-{pk}", maxlen=KEEP, approximate=True)
        pipe.execute()
    return Position(rows[-1][0], rows[-1][1]), len(rows)


def try_lock() -> bool:
    """Become the one publisher, for as long as this database connection lives."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [PUBLISHER_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def lag(server: "redis.Redis", at: datetime) -> tuple[float, int]:
    """(seconds since the oldest unpublished event was recorded, how many are unpublished); (0, 0) when none.

    Counts no further than COUNTED: after a loss of Redis the whole log is unpublished, and this is asked often.
    """
    after = last_published(server)
    ((count, oldest),) = fetch_rows(
        """SELECT count(*), min(recorded_at) FROM (
               SELECT recorded_at FROM compliance_orderevent WHERE (xid, id) > (%(xid)s, %(id)s)
               ORDER BY xid, id LIMIT %(limit)s) AS waiting""",
        {"xid": after.xid, "id": after.id, "limit": COUNTED},
    )
    return (max((at - oldest).total_seconds(), 0.0) if oldest else 0.0), count
