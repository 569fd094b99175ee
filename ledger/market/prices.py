"""Last prices in Redis: what something traded at most recently, and when we were told so.

A cache that the market refills every second, hence not in the database. When Redis is away there are
simply no prices: callers must know what to do without one in any case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import redis
import structlog
from django.conf import settings

from oms.lib.clock import rfc3339
from oms.lib.money import decimal_text
from oms.lib.redis import BRIEF_SECONDS, client

_WANTED, _TURN = "quotes:wanted", "quotes:turn"

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


def get_prices(instrument_ids: Iterable[int], *, at: datetime) -> dict[int, LastPrice]:
    """The last prices that are known, in one round trip; an instrument without one is absent.

    What has none, or one too old to trade by at the instant `at` (settings.PRICE_FRESH_SECONDS), is noted in a
    second round trip as wanted: quotes are asked for it next. Call it while nothing is locked.
    """
    ids = list(instrument_ids)
    if not ids:
        return {}
    try:
        texts = client(timeout=BRIEF_SECONDS).mget([_key(pk) for pk in ids])
    except redis.RedisError as error:
        logger.warning("prices_not_read", count=len(ids), reason=type(error).__name__)
        return {}
    found = {pk: _parsed(str(text)) for pk, text in zip(ids, texts, strict=True) if text}
    if missed := [pk for pk in ids if pk not in found or not _is_fresh(found[pk], at)]:
        _want(missed, at)
    return found


def fresh_prices(instrument_ids: Iterable[int], *, at: datetime) -> dict[int, Decimal]:
    """Last prices in rupees that one may trade by at the instant `at`; see `get_prices`."""
    return {pk: last.price for pk, last in get_prices(instrument_ids, at=at).items() if _is_fresh(last, at)}


def _is_fresh(last: LastPrice, at: datetime) -> bool:
    return last.at >= at - timedelta(seconds=settings.PRICE_FRESH_SECONDS)


def most_wanted(limit: int) -> list[int]:
    """The instruments that somebody last asked for in vain, latest first; older wishes are forgotten."""
    if limit <= 0:
        return []
    try:
        with client().pipeline(transaction=False) as pipe:
            pipe.zremrangebyrank(_WANTED, 0, -limit - 1)
            pipe.zrevrange(_WANTED, 0, limit - 1)
            return [int(pk) for pk in pipe.execute()[1]]
    except redis.RedisError as error:
        logger.warning("wishes_not_read", reason=type(error).__name__)
        return []


def wanted_since(moment: datetime) -> bool:
    """Whether somebody asked in vain since then."""
    try:
        return client().zcount(_WANTED, moment.timestamp(), "+inf") > 0
    except redis.RedisError:
        return False  # nor could a price be stored


def _want(instrument_ids: Iterable[int], at: datetime) -> None:
    """Note that these have no fresh price: the next quotes are asked for them."""
    try:
        client(timeout=BRIEF_SECONDS).zadd(_WANTED, {str(pk): at.timestamp() for pk in instrument_ids})
    except redis.RedisError as error:
        logger.warning("wishes_not_noted", reason=type(error).__name__)


def last_in_turn() -> int:
    """The instrument at which the round of quotes has arrived; 0 before the first."""
    try:
        return int(str(client().get(_TURN) or 0))
    except redis.RedisError:
        return 0  # nor can prices be stored now


def set_last_in_turn(instrument_id: int) -> None:
    """Where the next call of `last_in_turn` goes on."""
    try:
        client().set(_TURN, instrument_id)
    except redis.RedisError as error:
        logger.warning("turn_not_noted", reason=type(error).__name__)


def _parsed(text: str) -> LastPrice:
    price, _, moment = text.partition(" ")
    return LastPrice(Decimal(price), datetime.fromisoformat(moment))


def _key(instrument_id: int) -> str:
    return f"ltp:{instrument_id}"
