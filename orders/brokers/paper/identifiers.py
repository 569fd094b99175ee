"""Numbers the exchange hands out: order ids like Kite's 19-digit snowflakes, exchange ids, tokens.

Belongs here: uniqueness and order of ids, also across restarts. What they identify does not.
"""

import secrets
import time

# The epoch that makes Kite's published ids fall on their dates (2010-11-04T01:42:54.657Z).
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657


class Identifiers:
    """Rising ids. `last` is the highest order id ever given, so that a clock set back is harmless."""

    def __init__(self, last: int = 0) -> None:
        self._order = last
        self._exchange = 0

    def order_id(self) -> str:
        """A 19-digit id, rising: milliseconds since the epoch in the upper bits."""
        fresh = (time.time_ns() // 1_000_000 - SNOWFLAKE_EPOCH_MS) << 22
        self._order = max(self._order + 1, fresh)
        return str(self._order)

    def exchange_id(self) -> str:
        """A 16-digit id for exchange orders and trades, rising: microseconds."""
        self._exchange = max(self._exchange + 1, time.time_ns() // 1_000)
        return str(self._exchange)


def token() -> str:
    """An unguessable 32-character token, as request and access tokens are."""
    return secrets.token_hex(16)
