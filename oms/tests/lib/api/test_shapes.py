"""Strict shapes: wire names, everything wrong at once, nothing unknown, and no memory between requests."""

from decimal import Decimal as D

import pytest
from django.http import QueryDict
from rest_framework import serializers

from oms.lib.api.decimals import ExactDecimal
from oms.lib.api.shapes import Shape, camel
from oms.lib.errors import Invalid


class Leg(Shape):
    limit_price = ExactDecimal(places=2)


class Sample(Shape):
    account_id = serializers.CharField(max_length=5)
    take_profit_at = ExactDecimal(places=2, required=False)
    count = serializers.IntegerField(min_value=1, default=3)
    first_leg = Leg(required=False)


def faults(body):
    with pytest.raises(Invalid) as refusal:
        Sample.read(body)
    return {(error.pointer, error.code) for error in refusal.value.errors}


@pytest.mark.parametrize(
    ("name", "wire"), [("price", "price"), ("stop_price", "stopPrice"), ("first_fill_at", "firstFillAt")]
)
def test_names_on_the_wire(name, wire):
    assert camel(name) == wire


def test_a_body_is_read_under_the_names_of_the_code():
    body = {"accountId": "A", "takeProfitAt": D("1.5"), "firstLeg": {"limitPrice": "2"}}
    assert Sample.read(body) == {
        "account_id": "A", "take_profit_at": D("1.5"), "count": 3, "first_leg": {"limit_price": D(2)},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {("/accountId", "required")}),
        ({"accountId": None}, {("/accountId", "null")}),
        ({"accountId": ""}, {("/accountId", "blank")}),
        ({"accountId": "too long"}, {("/accountId", "max_length")}),
        ({"account_id": "A"}, {("/accountId", "required"), ("/account_id", "unknown_field")}),
        ({"accountId": "A", "count": 0}, {("/count", "min_value")}),
        ({"accountId": "A", "firstLeg": {}}, {("/firstLeg/limitPrice", "required")}),
        ({"accountId": "A", "firstLeg": {"limitPrice": 1, "x": 1}}, {("/firstLeg/limitPrice", "invalid"), ("/firstLeg/x", "unknown_field")}),
        ({"accountId": "A", "a/b": 1, "~": 2}, {("/a~1b", "unknown_field"), ("/~0", "unknown_field")}),
        ({"takeProfitAt": "x", "count": "many", "z": 0}, {
            ("/accountId", "required"), ("/takeProfitAt", "invalid"), ("/count", "invalid"), ("/z", "unknown_field"),
        }),
        ([], {("", "invalid")}),
        ("text", {("", "invalid")}),
        (None, {("", "null")}),
    ],
)  # fmt: skip
def test_everything_wrong_is_told_at_once_at_its_place(body, wrong):
    assert faults(body) == wrong


def test_a_refusal_leaves_nothing_behind_for_the_next_request():
    faults({"accountId": "too long", "count": 0})
    assert Sample.read({"accountId": "B"}) == {"account_id": "B", "count": 3}


def test_one_wrong_field_is_said_in_the_sentence_and_many_are_listed():
    for body, words in (({}, "/accountId: This field"), ({"z": 1}, "2 fields are not valid: /accountId, /z.")):
        with pytest.raises(Invalid) as refusal:
            Sample.read(body)
        assert refusal.value.detail.startswith(words)


def test_a_query_may_say_a_thing_once():
    assert Sample.read_query(QueryDict("accountId=A&count=7")) == {"account_id": "A", "count": 7}
    with pytest.raises(Invalid) as refusal:
        Sample.read_query(QueryDict("accountId=A&accountId=B&count=1&count=2"))
    assert {(error.pointer, error.code) for error in refusal.value.errors} == {
        ("/accountId", "repeated"), ("/count", "repeated"),
    }  # fmt: skip
