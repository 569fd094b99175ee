"""What each kind of broker calls an instrument gets a table of its own; the instrument keeps the exchange's number.

Until now the only dumps were Kite's and the paper exchange's. Their tokens are the exchange's number and one byte that
says which segment it is of.
"""

import django.db.models.deletion
from django.db import migrations, models

LISTED_SO_FAR = """
    INSERT INTO ledger_brokerinstrument (instrument_id, kind, exchange, symbol, token, is_listed, listed_at)
    SELECT i.id, b.kind, i.exchange, i.symbol, i.token::text, i.is_tradable OR i.type = 'INDEX', i.dumped_at
    FROM ledger_instrument AS i CROSS JOIN (SELECT DISTINCT kind FROM orders_brokeraccount) AS b
    WHERE i.dumped_at IS NOT NULL;
    UPDATE ledger_instrument SET token = token / 256 WHERE dumped_at IS NOT NULL;
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0006_unused_indexes"),
        ("orders", "0003_unused_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="BrokerInstrument",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=20)),
                ("exchange", models.CharField(max_length=10)),
                ("symbol", models.CharField(max_length=60)),
                ("token", models.CharField(blank=True, max_length=60)),
                ("is_listed", models.BooleanField(default=True)),
                ("listed_at", models.DateTimeField(help_text="Since when it is listed under this name.")),
                (
                    "instrument",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="broker_names",
                        to="ledger.instrument",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "instrument"), name="brokerinstrument_instrument_once"),
                    models.UniqueConstraint(fields=("kind", "exchange", "symbol"), name="brokerinstrument_symbol_once"),
                ],
            },
        ),
        migrations.RunSQL(LISTED_SO_FAR, migrations.RunSQL.noop),
        migrations.RemoveField("instrument", "dumped_at"),
        migrations.RemoveIndex("instrument", "instrument_token"),
        migrations.AlterField(
            "instrument",
            "token",
            models.BigIntegerField(default=0, help_text="The exchange's own number; 0 when not known."),
        ),
    ]
