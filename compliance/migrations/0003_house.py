"""The house itself, whose chain records house-wide controls, with limits wide enough to begin with."""

from datetime import UTC, datetime

from django.db import migrations


def load(apps, schema_editor):
    apps.get_model("compliance", "Account").objects.create(code="HOUSE", name="The house", kind="HOUSE")
    apps.get_model("compliance", "RiskLimit").objects.create(
        scope="HOUSE",
        version=1,
        max_order_value=100_000_000,
        max_orders_per_second=10,
        duplicate_window_seconds=0,
        reason="First limits: 10 orders a second per client and segment (SEBI circular of 4 Feb 2025), ₹10 crore an order",
        created_at=datetime.now(UTC),
    )


class Migration(migrations.Migration):
    dependencies = [("compliance", "0002_event_log")]
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
