"""Looks at single orders that postbacks hinted at: all hints of one order are one look.

The hinted ids wait in Redis. A hint may be lost there: the next poll sees what it was about.
"""

import time

from oms.lib.redis import client
from orders import polling
from orders.locks import alone

#: From so many orders on, reading the whole book in its two calls is the quicker way.
MANY = 20
#: Then others have their turn; what is left waits for the next hint or poll.
LOOK_SECONDS = 5.0
#: Names PostgreSQL advisory locks: (this, broker account).
LOOK_LOCK = 0x4F4D54


def note(broker_account_id: int, broker_order_id: str) -> None:
    """Note that an order deserves a look. Raises redis.RedisError."""
    client().sadd(_key(broker_account_id), broker_order_id)


def look(broker_account_id: int) -> bool:
    """Read anew what was hinted at; False when another look of the account is running, which then does it."""
    until, key = time.monotonic() + LOOK_SECONDS, _key(broker_account_id)
    with alone(LOOK_LOCK, broker_account_id) as is_alone:
        while is_alone and time.monotonic() < until:
            if client().scard(key) >= MANY:
                client().delete(key)
                polling.poll(broker_account_id)
                continue
            hinted = client().spop(key)
            if hinted is None:
                break
            polling.refresh(broker_account_id, str(hinted))
        return is_alone


def _key(broker_account_id: int) -> str:
    return f"oms:look:{broker_account_id}"
