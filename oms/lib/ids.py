"""Identifiers: time-ordered UUIDs for rows, and the short tag that follows an order to the broker."""

import uuid

from uuid_utils.compat import uuid7

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TAG_LENGTH = 20


def new_id() -> uuid.UUID:
    """A version 7 UUID: unique without asking anybody, and in time order for the index."""
    return uuid7()


def tag_of(row_id: uuid.UUID) -> str:
    """The broker tag of a row: 20 characters of [0-9A-Z], the top 103 bits of its UUID.

    A broker may allow no more than 20 alphanumeric characters. The time and 49 random bits remain, so two orders
    of one millisecond share a tag once in 5e14; the unique constraint catches even that.
    """
    number = row_id.int >> 25
    digits = []
    for _ in range(TAG_LENGTH):
        number, digit = divmod(number, 36)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
