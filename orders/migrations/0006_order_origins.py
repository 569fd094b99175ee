"""An order comes through the API or was found at the broker: no door of the staff pages places one."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0005_broker_kinds"),
    ]

    operations = [
        migrations.AlterField(
            model_name="order",
            name="origin",
            field=models.CharField(
                choices=[("API", "Api"), ("EXTERNAL", "Found at the broker")], default="API", max_length=8
            ),
        ),
    ]
