"""Indexes that every order paid for and no query needs.

Django gives each foreign key an index of its own. On an order those of account, broker account, portfolio,
instrument and user find either what another index finds as well (`order_of_account`, `order_live`, `order_to_send`,
`order_broker_id_once`) or so many rows that no plan should take them; nothing asks for the orders of a portfolio, an
instrument or a user. Worse than their cost: planned on a small table, "broker account and one of these ids" was
answered from the broker account's index, which reads all of its orders at each look. An execution's broker account
leads `execution_once`, a message's order leads `brokermessage_of_order`.

The tag stays unique, as a constraint: a unique CharField brings a second index, for LIKE, that nothing asks.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0003_house"),
        ("ledger", "0006_unused_indexes"),
        ("orders", "0002_recorded_changes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="brokermessage",
            name="order",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="broker_messages",
                to="orders.order",
            ),
        ),
        migrations.AlterField(
            model_name="execution",
            name="broker_account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="executions",
                to="orders.brokeraccount",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to="compliance.account",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="broker_account",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to="orders.brokeraccount",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="instrument",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to="ledger.instrument",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="placed_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="portfolio",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="orders",
                to="ledger.capitalaccount",
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="tag",
            field=models.CharField(editable=False, max_length=20, null=True),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.UniqueConstraint(fields=("tag",), name="order_tag_once"),
        ),
    ]
