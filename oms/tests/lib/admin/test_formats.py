"""How one value looks on a staff page: nothing that somebody typed becomes markup, nothing absent becomes nought."""

from datetime import UTC, date, datetime
from decimal import Decimal as D
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from ledger.models import CapitalAccount, Instrument
from oms.lib.admin.formats import EMPTY, chip, chips, clipped, moment, money, mono, number, quantity, shown, value_html
from orders.models import Order

HOSTILE = '<script>alert("x")</script>'
NOON = datetime(2026, 11, 20, 6, 30, 15, 250_000, UTC)


@pytest.mark.parametrize(
    "made", [chip(HOSTILE), chip("x", title=HOSTILE), mono(HOSTILE), mono("x", HOSTILE), number(HOSTILE)]
)
def test_what_somebody_typed_is_never_markup(made):
    assert isinstance(made, SafeString)
    assert "<script" not in made
    assert "&lt;script" in made


@given(st.text(max_size=40))
def test_any_text_stays_text_in_every_column(text):
    row = SimpleNamespace(state=text, note=text, get_state_display=lambda: text)
    for column in (chips("state", {}), clipped("note")):
        made = str(column(row))
        assert made.count("<") == made.count(">") == 2, "one element, opened and closed"


@pytest.mark.parametrize(
    ("value", "field", "text"),
    [
        (D("1234567.5"), CapitalAccount._meta.get_field("free"), "₹12,34,567.50"),
        (D(1234567), Order._meta.get_field("quantity"), ">12,34,567<"),
        (D("0.0525"), Order._meta.get_field("price"), "₹0.0525"),
        (True, None, "yes"),
        (False, None, "no"),
        (NOON, None, "20 Nov 2026, 12:00:15"),
        (date(2026, 11, 5), None, "5 Nov 2026"),
        (UUID(int=7), None, "00000000-0000-0000-0000-000000000007"),
        (b"\x01\xff", None, "01ff"),
        (memoryview(b"\x01\xff"), None, "01ff"),
        ("EQ", Instrument._meta.get_field("type"), dict(Instrument.Type.choices)["EQ"]),
        (0, None, "0"),
        (D(0), CapitalAccount._meta.get_field("free"), "₹0.00"),
    ],
)
def test_each_kind_of_value_has_its_look(value, field, text):
    assert text in str(value_html(value, field))


@pytest.mark.parametrize("value", [None, ""])
def test_what_is_absent_is_a_dash_and_not_nought(value):
    assert value_html(value) is EMPTY
    row = SimpleNamespace(account=SimpleNamespace(free=value), at=None, note=value, state=value)
    for column in (clipped("note"), moment("at"), chips("state", {})):
        assert column(row) is EMPTY


def test_a_path_that_ends_on_the_way_is_a_dash():
    assert money("account.free")(SimpleNamespace(account=None)) is EMPTY
    row = SimpleNamespace(account=SimpleNamespace(free=D(5)))
    assert "₹5.00" in money("account.free")(row)


@pytest.mark.parametrize(
    ("column", "name", "label"),
    [
        (money("free"), "num_free", "free"), (quantity("account.units", "held"), "num_account_units", "held"),
        (moment("sent_at", "sent"), "col_sent_at", "sent"), (shown("order_id"), "col_order_id", "order id"),
    ],
)  # fmt: skip
def test_a_column_is_named_for_what_it_shows_and_numbers_stand_to_the_right(column, name, label):
    assert (column.__name__, column.short_description) == (name, label)


def test_a_label_has_the_tone_of_its_value_and_grey_otherwise():
    column = chips("state", {"OPEN": "green"})
    assert "oms-green" in column(SimpleNamespace(state="OPEN"))
    assert "oms-grey" in column(SimpleNamespace(state="NEW_STATE"))
    assert "NEW STATE" in column(SimpleNamespace(state="NEW_STATE"))


def test_a_time_says_milliseconds_and_year_only_where_asked():
    row = SimpleNamespace(at=NOON)
    assert "20 Nov 12:00:15<" in moment("at")(row)
    assert "12:00:15.250" in moment("at", precise=True)(row)
    assert 'title="2026-11-20 06:30:15.250000 UTC"' in moment("at")(row)
