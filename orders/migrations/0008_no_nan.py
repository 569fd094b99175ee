"""No quantity or price is NaN, which PostgreSQL takes for larger than every number: a bound keeps it out."""

from decimal import Decimal

from django.db import migrations, models
from django.db.models import Q

PRICE = Decimal("99999999999999.9999")
QUANTITY = Decimal(999999999999999999)


class Migration(migrations.Migration):
    dependencies = [("orders", "0007_pacing")]

    operations = [
        migrations.AddConstraint(
            model_name="execution",
            constraint=models.CheckConstraint(
                condition=Q(quantity__lte=QUANTITY, price__lte=PRICE), name="execution_no_nan"
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=Q(
                    Q(quantity__lte=QUANTITY),
                    Q(filled_quantity__lte=QUANTITY),
                    Q(price=None) | Q(price__lte=PRICE),
                    Q(stop_price=None) | Q(stop_price__lte=PRICE),
                ),
                name="order_no_nan",
            ),
        ),
    ]
