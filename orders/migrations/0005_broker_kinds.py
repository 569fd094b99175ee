"""Any kind of broker that is registered, and when the instruments of one were last read."""

from django.db import migrations, models

import orders.broker_rules


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0004_amendment_transitions"),
    ]

    operations = [
        migrations.AlterField(
            "brokeraccount",
            "kind",
            models.CharField(choices=orders.broker_rules.kind_choices, max_length=20),
        ),
        migrations.AddField(
            "brokeraccount",
            "instruments_at",
            models.DateTimeField(
                editable=False, help_text="When the instruments of its kind were last read.", null=True
            ),
        ),
        migrations.AlterField(
            "brokeraccount",
            "route_prefix",
            models.CharField(blank=True, help_text="What the routes begin with, if anything.", max_length=40),
        ),
        migrations.AlterField(
            "brokeraccount",
            "trading_hours",
            models.CharField(
                choices=[("EXCHANGE", "The exchange's sessions"), ("ALWAYS", "Always open (no real money)")],
                default="EXCHANGE",
                max_length=8,
            ),
        ),
    ]
