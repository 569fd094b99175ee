"""Last prices in Redis: what something traded at most recently, and when we were told so.

A cache that the market refills every second, hence not in the database. When Redis is away there are
simply no prices: callers must know what to do without one in any case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import redis
import structlog

from oms.lib.clock import rfc3339
from oms.lib.money import decimal_text
from oms.lib.redis import client

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LastPrice:
    """Rupees per unit, and the instant of the quote that said so (its last trade may be older)."""

    price: Decimal
    at: datetime


def set_prices(prices: Mapping[int, tuple[Decimal, datetime]]) -> None:
    """Store the last price of instruments by id, in one round trip. Without Redis nothing is stored."""
    if not prices:
        return
    texts = {_key(pk): f"{decimal_text(price)} {rfc3339(at)}" for pk, (price, at) in prices.items()}
    try:
        client().mset(texts)
    except redis.RedisError as error:
        logger.warning("prices_not_stored", count=len(prices), reason=type(error).__name__)


def get_prices(instrument_ids: Iterable[int]) -> dict[int, LastPrice]:
    """The last prices that are known, in one round trip; an instrument without one is absent."""
    ids = list(instrument_ids)
    if not ids:
        return {}
    try:
        texts = client().mget([_key(pk) for pk in ids])
    except redis.RedisError as error:
        logger.warning("prices_not_read", count=len(ids), reason=type(error).__name__)
        return {}
    return {pk: _parsed(str(text)) for pk, text in zip(ids, texts, strict=True) if text}


def _parsed(text: str) -> LastPrice:
    price, _, moment = text.partition(" ")
    return LastPrice(Decimal(price), datetime.fromisoformat(moment))


def _key(instrument_id: int) -> str:
    return f"ltp:{instrument_id}"
