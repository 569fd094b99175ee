"""Rows in sets: one statement however many, exact values, and errors that are not swallowed."""

from datetime import timedelta
from decimal import Decimal as D
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from compliance.models import Account, Alert
from ledger.models import Instrument
from oms.lib import db
from oms.lib.arrays import array_writer
from oms.lib.clock import now
from oms.lib.db import (
    Read,
    distinct,
    fetch_models,
    fetch_rows,
    insert_rows,
    model_read,
    one_round_trip,
    read,
    read_all,
    require_transaction,
    update_rows,
)

pytestmark = pytest.mark.django_db
COLUMNS = ("key", "kind", "severity", "summary", "details", "count", "raised_at", "last_raised_at", "closing_reason")
AT = now()


def alert(key, **given):
    fields = {
        "key": key, "kind": "TEST", "summary": "something", "details": {}, "raised_at": AT, "last_raised_at": AT,
    } | given  # fmt: skip
    return Alert(**fields)


def one_number(value):
    return Read("SELECT %(n)s::int", {"n": value}, lambda rows: rows[0][0])


@pytest.mark.parametrize("count", [1, 2, 50])
def test_any_number_of_rows_goes_in_with_one_statement(count, django_assert_num_queries):
    rows = [alert(f"k{n}", count=n, details={"n": n, "text": "₹ 'quoted' \\", "none": None}) for n in range(count)]
    with django_assert_num_queries(1):
        insert_rows(Alert, COLUMNS, rows)
    kept = {row.key: row for row in Alert.objects.all()}
    assert len(kept) == count
    for row in rows:
        found = kept[row.key]
        assert (found.count, found.details, found.raised_at) == (row.count, row.details, AT)


@pytest.mark.parametrize("write", [insert_rows, update_rows])
def test_no_rows_take_no_statement(write, django_assert_num_queries):
    with django_assert_num_queries(0):
        write(Alert, COLUMNS, [])


@pytest.mark.parametrize("count", [1, 3])
def test_a_row_that_is_there_is_refused_or_becomes_what_is_said(count):
    Alert.objects.bulk_create([alert("k0", count=5)])
    rows = [alert(f"k{n}", count=1) for n in range(count)]
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(Alert, COLUMNS, rows)
    added = "(key) DO UPDATE SET count = old.count + excluded.count"
    insert_rows(Alert, COLUMNS, rows, on_conflict=added)
    assert [row.count for row in Alert.objects.order_by("key")] == [6, *[1] * (count - 1)]


@pytest.mark.parametrize("count", [1, 3])
def test_only_the_named_columns_of_the_given_rows_are_written(count, django_assert_num_queries):
    Alert.objects.bulk_create([alert(f"k{n}") for n in range(4)])
    rows = list(Alert.objects.order_by("key")[:count])
    later = AT + timedelta(hours=1)
    for row in rows:
        row.summary, row.count, row.last_raised_at = f"new {row.key}", 9, later
    with django_assert_num_queries(1):
        update_rows(Alert, ("count", "last_raised_at"), rows)
    for row in Alert.objects.all():
        is_written = row.key in {one.key for one in rows}
        assert (row.count, row.last_raised_at) == ((9, later) if is_written else (1, AT))
        assert row.summary == "something"


def test_nulls_decimals_and_dates_pass_exactly(sbin, infy):
    sbin.lower_circuit, sbin.upper_circuit, sbin.tick_size = None, D("1100.0001"), D("0.0025")
    update_rows(Instrument, ("lower_circuit", "upper_circuit", "tick_size", "expiry"), [sbin, infy])
    kept = Instrument.objects.get(pk=sbin.pk)
    assert (kept.lower_circuit, kept.upper_circuit, kept.tick_size) == (None, D("1100.0001"), D("0.0025"))
    assert Instrument.objects.get(pk=infy.pk).lower_circuit == 900


@pytest.mark.parametrize(
    "text", ["", "NULL", "null", 'a "quoted" one', "back\\slash", '\\"', "{a,b}", ",", " padded ", "₹ \n\t", "'; --"]
)
def test_any_text_passes_a_list_of_rows_as_it_is(text):
    """An element of an array's text that looks like its syntax is still only text."""
    insert_rows(Alert, COLUMNS, [alert(key, closing_reason=text, details={"is": text}) for key in "ab"])
    kept = list(Alert.objects.values_list("closing_reason", "details"))
    assert kept == [(text, {"is": text})] * 2


@pytest.mark.parametrize(
    ("sql_type", "values"),
    [
        ("bytea", [bytes(range(256)), b"", None]),
        ("uuid", [UUID(int=7), None]),
        ("boolean", [True, False, None]),
        ("timestamp with time zone", [AT, None]),
        ("date", [AT.date(), None]),
        ("numeric", [D("1E+3"), D("-0.0001"), None]),
        ("bigint", [-(2**63), 2**63 - 1, None]),
    ],
)
def test_the_text_of_an_array_means_the_values_it_was_made_of(sql_type, values):
    written = array_writer(sql_type)(values)
    read_back = fetch_rows(f"SELECT * FROM unnest(%(a)s::{sql_type}[])", {"a": written})  # noqa: S608
    assert read_back == [(value,) for value in values]


def test_models_come_back_whole_but_for_their_secrets(account, django_assert_num_queries):
    Account.objects.filter(pk=account.pk).update(pan="AAAPZ9999Z")
    [found] = fetch_models(Account, "WHERE t.code = %(code)s", {"code": "DEMO"})
    assert (found.pk, found.products, found.is_active) == (account.pk, ["CNC", "MIS", "NRML"], True)
    assert found.get_deferred_fields() == {"pan"}
    with django_assert_num_queries(1):
        assert found.pan == "AAAPZ9999Z", "read when it is asked for"


def test_several_reads_share_a_round_trip_and_keep_their_order(sbin, infy):
    first, names, last = read_all(
        one_number(1),
        model_read(Instrument, "ORDER BY t.symbol", {}).then(lambda rows: [row.symbol for row in rows]),
        one_number(3).then(lambda n: n * 2),
    )
    assert (first, names, last) == (1, ["INFY", "SBIN"], 6)
    assert read(one_number(7)) == 7


def test_a_value_is_bound_and_never_part_of_the_statement():
    hostile = "x'; DROP TABLE compliance_alert; --"
    assert fetch_rows("SELECT %(text)s::text", {"text": hostile}) == [(hostile,)]
    assert fetch_models(Alert, "WHERE t.key = %(key)s", {"key": hostile}) == []


def test_an_error_within_a_round_trip_comes_out_and_the_connection_lives_on():
    with pytest.raises(DataError), transaction.atomic(), one_round_trip(), connection.cursor() as cursor:
        cursor.execute("SELECT 1/0")
    assert read(one_number(1)) == 1


def test_an_inner_writer_asks_for_its_callers_transaction(monkeypatch):
    require_transaction()
    monkeypatch.setattr(db, "connection", SimpleNamespace(in_atomic_block=False))
    with pytest.raises(RuntimeError, match="caller's transaction"):
        require_transaction()


def test_rows_are_locked_in_one_order():
    assert distinct([3, None, 1, 3, 2, None]) == [1, 2, 3]
    assert distinct([]) == []
