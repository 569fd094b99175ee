"""Orders wait in the order in which they are sent, and what was sent in a second can be counted."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import BooleanField, ExpressionWrapper, F, Q


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0004_one_chain_per_account"),
        ("ledger", "0007_broker_instruments"),
        ("orders", "0006_order_origins"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(model_name="order", name="order_to_send"),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                F("broker_account"),
                F("account"),
                F("exchange"),
                F("algo_id"),
                ExpressionWrapper(Q(reserved_units__lt=F("quantity")), output_field=BooleanField()),
                F("id"),
                condition=Q(state="CREATED"),
                name="order_to_send",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["sent_at"], condition=Q(sent_at__isnull=False), name="order_sent"),
        ),
    ]
