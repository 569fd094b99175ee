"""Entity tags and the conditions that a caller puts on them (RFC 9110)."""

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from oms.lib.api.versions import etag, expected_version, is_unchanged
from oms.lib.errors import Invalid, Stale


def request(**headers):
    return RequestFactory().put("/", headers=headers)


@given(st.integers(0, 999_999_999))
def test_a_version_goes_out_and_comes_back(version):
    assert expected_version(request(**{"If-Match": etag(version)})) == version
    assert is_unchanged(request(**{"If-None-Match": etag(version)}), version)
    assert not is_unchanged(request(**{"If-None-Match": etag(version)}), version + 1)


@pytest.mark.parametrize("header", ["", "*", "  *  "])
def test_no_version_is_expected(header):
    assert expected_version(request(**{"If-Match": header})) is None
    assert expected_version(request()) is None


@pytest.mark.parametrize("header", ["3", '"3', '"three"', '"-1"', '"3", "4"', '"1234567890"', '"३"', '"3" x', '""'])
def test_what_is_no_single_tag_is_refused_and_not_taken_for_no_condition(header):
    with pytest.raises(Invalid) as refusal:
        expected_version(request(**{"If-Match": header}))
    assert refusal.value.errors[0].code == "invalid_if_match"


@pytest.mark.parametrize("header", ['W/"3"', 'W/"x"'])
def test_a_weak_tag_never_matches(header):
    with pytest.raises(Stale):
        expected_version(request(**{"If-Match": header}))


@pytest.mark.parametrize(
    ("header", "unchanged"),
    [('"7"', True), ('W/"7"', True), ('"1", "7"', True), ("*", True), ('"8"', False), ("7", False), ("", False)],
)
def test_what_the_caller_has_already_need_not_be_sent(header, unchanged):
    assert is_unchanged(request(**{"If-None-Match": header}), 7) is unchanged
