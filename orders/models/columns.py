"""The columns that several tables of orders share."""

from decimal import Decimal
from typing import Any

from django.db import models

#: The largest that fits the columns. PostgreSQL's NaN is larger than every number, so that a bound keeps it out.
LARGEST_PRICE = Decimal("99999999999999.9999")
LARGEST_QUANTITY = Decimal(10**18 - 1)


def price_field(**options: Any) -> "models.DecimalField[Decimal | None, Decimal | None]":
    return models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True, **options)


def quantity_field(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=18, decimal_places=0, **options)
