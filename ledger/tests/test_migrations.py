"""Migrations that move data: what a database that was in use has afterwards."""

from datetime import UTC, datetime

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

AT = datetime(2026, 11, 20, 3, tzinfo=UTC)


def migrate(*targets):
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets))
    return executor.loader.project_state(list(targets)).apps


def test_tokens_become_what_each_broker_calls_an_instrument(empty_db):
    apps = migrate(("ledger", "0006_unused_indexes"), ("orders", "0003_unused_indexes"))
    account = apps.get_model("compliance", "Account").objects.create(code="DEMO", name="Demo")
    for number, kind in enumerate(("PAPER", "PAPER", "KITE")):
        apps.get_model("orders", "BrokerAccount").objects.create(
            name=f"B{number}", kind=kind, root_url="http://127.0.0.1:9", client_id="X", api_key="k", api_secret="s",
            default_account=account,
        )  # fmt: skip
    instruments = apps.get_model("ledger", "Instrument").objects
    fields = {"exchange": "NSE", "segment": "NSE", "updated_at": AT}
    instruments.create(symbol="INFY", token=408065, dumped_at=AT, **fields)
    instruments.create(symbol="GONE", token=779521, dumped_at=AT, is_tradable=False, **fields)
    instruments.create(symbol="MINE", token=7, **fields)
    apps = migrate(*MigrationExecutor(connection).loader.graph.leaf_nodes())
    names = apps.get_model("ledger", "BrokerInstrument").objects.order_by("kind", "symbol")
    assert list(names.values_list("kind", "exchange", "symbol", "token", "is_listed", "listed_at")) == [
        ("KITE", "NSE", "GONE", "779521", False, AT),
        ("KITE", "NSE", "INFY", "408065", True, AT),
        ("PAPER", "NSE", "GONE", "779521", False, AT),
        ("PAPER", "NSE", "INFY", "408065", True, AT),
    ]
    tokens = apps.get_model("ledger", "Instrument").objects.values_list("symbol", "token")
    assert dict(tokens) == {"INFY": 1594, "GONE": 3045, "MINE": 7}
