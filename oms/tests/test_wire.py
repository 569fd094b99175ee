"""JSON with exact decimals, both ways."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oms.lib.api.wire import json_bytes, parse_json
from oms.lib.errors import Invalid

decimals = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**17), max_value=10**17)
json_values = st.recursive(
    st.none() | st.booleans() | st.text() | decimals,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_sent_is_what_is_read(value: object) -> None:
    assert parse_json(json_bytes(value)) == value


@given(decimals)
def test_a_number_is_written_as_its_shortest_exact_text(value: Decimal) -> None:
    text = json_bytes(value).decode()
    assert Decimal(text) == value
    assert "e" not in text.lower()
    assert not ("." in text and text.endswith("0"))


def test_a_number_never_passes_through_a_binary_float() -> None:
    exact = b"0.1000000000000000055511151231257827021181583404541015625"
    assert json_bytes(parse_json(exact)) == exact


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_invalid(body: bytes) -> None:
    with suppress(Invalid):
        parse_json(body)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"])
def test_what_has_no_exact_form_is_not_sent(value: object) -> None:
    with pytest.raises(TypeError):
        json_bytes(value)
