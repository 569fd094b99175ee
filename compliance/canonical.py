"""Canonical JSON (RFC 8785) and the chain hash: the bytes that prove what was recorded.

Values are text, small integers, booleans, null, and lists and objects of these; decimals, ids and
times become text, so that no reader's number type can change them. Keys are ASCII, for which sorting
by bytes is RFC 8785's order; `rfc8785` itself is the oracle in the tests.
"""

import hashlib
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson

from oms.lib.clock import rfc3339
from oms.lib.money import decimal_text

GENESIS = bytes(32)
# Integers beyond 53 bits are refused: a reader whose numbers are doubles would see another one.
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_STRICT_INTEGER


def _as_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_bytes(document: dict[str, Any]) -> bytes:
    """The one byte sequence of `document`. Raises TypeError for a value without a canonical form."""
    return orjson.dumps(document, default=_as_text, option=_OPTIONS)


def chain_hash(prev_hash: bytes, c14n: bytes) -> bytes:
    """SHA256(0x00 ‖ prev_hash ‖ c14n): 32 bytes, and at once the RFC 6962 leaf hash of `prev_hash ‖ c14n`."""
    return hashlib.sha256(b"\x00" + prev_hash + c14n).digest()
