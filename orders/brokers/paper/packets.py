"""The binary frames of Kite's ticker: big-endian packets of 8, 28, 32, 44 or 184 bytes.

Belongs here: the layout. Who gets which packet when is in `ticker`.
"""

import struct
from datetime import datetime

from .clock import IST
from .market import Quote, depth
from .money import PAISE

MODES = ("ltp", "quote", "full")
HEARTBEAT = b"\x00"


def _epoch(text: str | None) -> int:
    if not text:
        return 0
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=IST).timestamp())


def packet(quote: Quote, mode: str, now: datetime) -> bytes:
    """One instrument's packet in a mode. Prices in paise, as the divisor 100 says."""
    token = quote.instrument.instrument_token
    if mode == "ltp":
        return struct.pack(">ii", token, quote.last)
    if quote.instrument.is_index:
        change = quote.last - quote.close
        body = struct.pack(">7i", token, quote.last, quote.high, quote.low, quote.open, quote.close, change)
        return body + struct.pack(">i", int(now.timestamp())) if mode == "full" else body
    levels = depth(quote)
    average = quote.turnover // quote.volume if quote.volume else quote.last
    body = struct.pack(
        ">11i",
        token,
        quote.last,
        quote.last_quantity,
        average,
        _fit(quote.volume),
        _fit(sum(level["quantity"] for level in levels["buy"])),
        _fit(sum(level["quantity"] for level in levels["sell"])),
        quote.open,
        quote.high,
        quote.low,
        quote.close,
    )
    if mode == "quote":
        return body
    body += struct.pack(">5i", _epoch(quote.traded_at), 0, 0, 0, int(now.timestamp()))
    for level in levels["buy"] + levels["sell"]:
        body += struct.pack(">iihxx", _fit(level["quantity"]), round(level["price"] * int(PAISE)), level["orders"])
    return body


def _fit(number: int) -> int:
    """At most what four signed bytes hold."""
    return min(number, 2**31 - 1)


def frame(packets: list[bytes]) -> bytes:
    """Packets of one tick: their count, then each after its length."""
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(one)) + one for one in packets)
