"""What can be said of a form without looking at anything else: every field's bad values, each named."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.brokers.paper.errors import InputError
from orders.brokers.paper.requests import read_modification, read_order, read_variety

FORM = {
    "exchange": "NSE", "tradingsymbol": "SBIN", "transaction_type": "BUY", "order_type": "LIMIT", "product": "CNC",
    "quantity": "10", "price": "970.05",
}  # fmt: skip


def test_a_form_with_what_it_needs_is_read_with_kites_defaults() -> None:
    read = read_order("regular", FORM)
    assert (read.quantity, read.price, read.trigger_price, read.validity) == (10, 97005, 0, "DAY")
    assert (read.disclosed_quantity, read.market_protection, read.autoslice, read.tag) == (0, 0, False, None)


@pytest.mark.parametrize("name", [*FORM])
def test_what_is_needed_is_missed_by_name(name: str) -> None:
    for form in ({k: v for k, v in FORM.items() if k != name}, FORM | {name: ""}):
        with pytest.raises(InputError, match=f"Missing or empty field `{name}`"):
            read_order("regular", form)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"order_type": "SL"}, "trigger_price"),
        ({"order_type": "SL-M", "price": ""}, "trigger_price"),
        ({"order_type": "SL", "trigger_price": "960", "price": ""}, "price"),
    ],
)
def test_an_order_type_brings_its_own_needs(changes: dict[str, str], name: str) -> None:
    with pytest.raises(InputError, match=f"`{name}`"):
        read_order("regular", FORM | changes)


def test_an_iceberg_needs_its_legs() -> None:
    with pytest.raises(InputError, match="`iceberg_legs`"):
        read_order("iceberg", FORM)
    assert read_order("iceberg", FORM | {"iceberg_legs": "2"}).iceberg_legs == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("exchange", "NASDAQ", "Invalid `exchange`"),
        ("transaction_type", "buy", "Invalid `transaction_type`"),
        ("order_type", "STOP", "Invalid `order_type`"),
        ("product", "BO", "Invalid `product`"),
        ("validity", "GTC", "Invalid `validity`"),
        ("quantity", "0", "Invalid `quantity`"),
        ("quantity", "-1", "Invalid `quantity`"),
        ("quantity", "1.5", "Invalid `quantity`"),
        ("quantity", "ten", "failed to decode quantity, got: ten"),
        ("quantity", "Infinity", "failed to decode quantity"),
        ("quantity", "1e13", "failed to decode quantity"),
        ("price", "0", "Invalid `price`"),
        ("price", "-970", "Invalid `price`"),
        ("price", "970.001", "rupees and paise"),
        ("price", "NaN", "failed to decode price"),
        ("trigger_price", "-1", "Invalid `trigger_price`"),
        ("disclosed_quantity", "0.5", "Invalid `disclosed_quantity`"),
        ("validity_ttl", "x", "failed to decode validity_ttl"),
        ("market_protection", "much", "failed to decode market_protection"),
        ("tag", "with space", "Invalid `tag`"),
        ("tag", "x" * 21, "Invalid `tag`"),
        ("tag", "ünï", "Invalid `tag`"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_order("regular", FORM | {name: value})


def test_an_absurd_value_is_not_repeated_in_full() -> None:
    with pytest.raises(InputError) as refusal:
        read_order("regular", FORM | {"quantity": "9" * 10_000})
    assert len(refusal.value.message) < 200


@pytest.mark.parametrize("variety", ["regular", "amo", "iceberg"])
def test_varieties_that_are_taken(variety: str) -> None:
    assert read_variety(variety) == variety


@pytest.mark.parametrize(
    ("variety", "words"),
    [("co", "not supported by the paper exchange"), ("auction", "not supported"), ("swing", "Invalid `variety`")],
)
def test_varieties_that_are_not(variety: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_variety(variety)


def test_a_modification_says_only_what_it_changes() -> None:
    assert set(vars_of(read_modification({})).values()) == {None}
    read = read_modification({"quantity": "20", "price": "", "order_type": "MARKET", "market_protection": "-1"})
    told = {name: value for name, value in vars_of(read).items() if value is not None}
    assert told == {"quantity": 20, "order_type": "MARKET", "market_protection": Decimal(-1)}


def vars_of(read: object) -> dict[str, object]:
    return {name: getattr(read, name) for name in type(read).__dataclass_fields__}


@given(st.decimals(min_value="0.01", max_value=10**7, places=2), st.integers(1, 10**9))
def test_prices_and_quantities_are_read_to_the_paisa_and_the_unit(price: Decimal, quantity: int) -> None:
    read = read_order("regular", FORM | {"price": str(price), "quantity": str(quantity)})
    assert (Decimal(read.price) / 100, read.quantity) == (price, quantity)


@given(st.dictionaries(st.sampled_from([*FORM, "trigger_price", "validity", "tag", "validity_ttl"]), st.text()))
def test_any_form_is_read_or_refused_with_words(changes: dict[str, str]) -> None:
    with suppress(InputError):
        read = read_order("regular", FORM | changes)
        assert read.quantity > 0
        assert read.price > 0 or read.order_type in ("MARKET", "SL-M")
