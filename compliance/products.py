"""The broker's products, by the codes that orders, positions and rates carry."""

from django.db import models


class ProductCode(models.TextChoices):
    """CNC delivery, MIS intraday, NRML carried derivatives, MTF margin funded."""

    CNC = "CNC"
    MIS = "MIS"
    NRML = "NRML"
    MTF = "MTF"
