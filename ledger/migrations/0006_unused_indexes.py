"""Indexes that every entry and booking paid for and no query needs.

A unique CharField brings a second index, for LIKE, that nothing asks: the key stays unique as a constraint. A booking's
position leads `assettransaction_seq_once`.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ledger", "0005_proof_deaf_to_statistics"),
    ]

    operations = [
        migrations.AlterField(
            model_name="assettransaction",
            name="position",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="transactions",
                to="ledger.position",
            ),
        ),
        migrations.AlterField(
            model_name="capitalentry",
            name="key",
            field=models.CharField(help_text="The same key posts once.", max_length=120),
        ),
        migrations.AddConstraint(
            model_name="capitalentry",
            constraint=models.UniqueConstraint(fields=("key",), name="capitalentry_key_once"),
        ),
    ]
