"""The canonical bytes are RFC 8785's, byte for byte, and the hash over them is the one the regulator can recompute."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal as D
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from compliance.canonical import GENESIS, canonical_bytes, chain_hash
from compliance.models import EventType

#: Everything that UTF-8 can carry: control characters, astral planes, non-characters; no lone surrogates.
texts = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(codec="ascii"))
leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


@given(st.dictionaries(keys, values))
def test_the_bytes_are_those_of_rfc_8785(document):
    assert canonical_bytes(document) == rfc8785.dumps(document)


@given(st.integers(0, 0x10FFFF).filter(lambda code: not 0xD800 <= code <= 0xDFFF))
def test_every_character_is_escaped_as_rfc_8785_escapes_it(code):
    assert canonical_bytes({"a": chr(code)}) == rfc8785.dumps({"a": chr(code)})


@pytest.mark.parametrize("code", range(0x21))
def test_every_control_character_is(code):
    assert canonical_bytes({chr(code): chr(code)}) == rfc8785.dumps({chr(code): chr(code)})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (D("100.5000"), "100.5"),
        (D("1E+2"), "100"),
        (D("-0.00"), "0"),
        (D("0.00000001"), "0.00000001"),
        (D("12345678901234567890.12"), "12345678901234567890.12"),
        (UUID("01890a5d-ac96-774b-bcce-b302099a8057"), "01890a5d-ac96-774b-bcce-b302099a8057"),
        (datetime(2026, 11, 20, 9, 15, tzinfo=UTC), "2026-11-20T09:15:00.000000Z"),
        (datetime(2026, 11, 20, 9, 15, 0, 7, timezone(timedelta(hours=5.5))), "2026-11-20T03:45:00.000007Z"),
        (date(2026, 11, 20), "2026-11-20"),
        (EventType.ORDER_FILLED, "ORDER_FILLED"),
    ],
)
def test_what_json_has_no_type_for_is_text(value, text):
    assert canonical_bytes({"a": value}) == rfc8785.dumps({"a": text})


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_a_decimal_comes_back_exactly(value):
    (text,) = json.loads(canonical_bytes({"a": value})).values()
    assert D(text) == value
    assert "E" not in text


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), "\ud800", 2**53, -(2**53)])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(TypeError):
        canonical_bytes({"a": value})


@given(st.binary(min_size=32, max_size=32), st.binary())
def test_the_chain_hash_is_sha256_of_zero_byte_previous_and_content(previous, content):
    assert chain_hash(previous, content) == hashlib.sha256(b"\x00" + previous + content).digest()


def test_a_chain_begins_at_32_zero_bytes():
    assert bytes(32) == GENESIS
    expected = "7f9c9e31ac8256ca2f258583df262dbc7d6f68f2a03043d5c99a4ae5a7396ce9"  # the hash of 33 zero bytes
    assert chain_hash(GENESIS, b"").hex() == expected
