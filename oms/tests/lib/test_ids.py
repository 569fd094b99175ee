"""Ids in time order, and the tag that finds an order at its broker again."""

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from oms.lib.ids import TAG_LENGTH, new_id, tag_of

BROKERS = re.compile(r"[A-Za-z0-9]{1,20}")  # what Kite allows
ids = st.integers(0, 2**128 - 1).map(lambda number: uuid.UUID(int=number))


@given(ids)
def test_a_tag_is_what_a_broker_takes(row_id):
    tag = tag_of(row_id)
    assert BROKERS.fullmatch(tag)
    assert len(tag) == TAG_LENGTH
    assert tag == tag.upper(), "so that a broker that folds case does no harm"


@given(ids, ids)
def test_tags_sort_as_their_ids_do(one, other):
    assert (one <= other) == (tag_of(one) <= tag_of(other)) or tag_of(one) == tag_of(other)


@given(ids, st.integers(0, 127))
def test_a_tag_tells_ids_apart_by_all_but_their_last_25_bits(row_id, bit):
    neighbour = uuid.UUID(int=row_id.int ^ 1 << bit)
    assert (tag_of(row_id) == tag_of(neighbour)) == (bit < 25)


def test_ids_are_new_and_in_the_order_of_time():
    made = [new_id() for _ in range(2000)]
    assert len(set(made)) == len({tag_of(one) for one in made}) == 2000
    assert made == sorted(made)
    assert {one.version for one in made} == {7}
