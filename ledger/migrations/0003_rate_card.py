"""The first rate card and margin table: data with dates and sources, which an operator may add to.

Rates are fractions of turnover, as published by Zerodha and NSE for equity and equity derivatives.
The securities transaction tax on derivatives changed with the Finance Acts of 2024 and 2026.
"""

from datetime import date
from decimal import Decimal

from django.db import migrations

SOURCE = "Zerodha list of charges and NSE circulars, read November 2026"
FROM_2024 = date(2024, 10, 1)
FROM_2026 = date(2026, 4, 1)
EQUITY = {"exchange_fee": "0.0000297", "sebi_fee": "0.000001", "gst": "0.18"}
FUTURE = {"exchange_fee": "0.0000173", "sebi_fee": "0.000001", "stamp": "0.00002", "gst": "0.18"}
OPTION = {"exchange_fee": "0.0003503", "sebi_fee": "0.000001", "stamp": "0.00003", "gst": "0.18"}
INTRADAY = {"brokerage": "0.0003", "brokerage_cap": "20"}
FLAT = {"brokerage": "1", "brokerage_cap": "20"}

# Each line: types, products, valid from, valid to, rates.
CHARGES = [
    (["EQ"], ["CNC", "MTF"], FROM_2024, None, {**EQUITY, "stt_buy": "0.001", "stt_sell": "0.001", "stamp": "0.00015"}),
    (["EQ"], ["MIS"], FROM_2024, None, {**EQUITY, **INTRADAY, "stt_sell": "0.00025", "stamp": "0.00003"}),
    (["FUT"], ["NRML", "MIS"], FROM_2024, date(2026, 3, 31), {**FUTURE, **INTRADAY, "stt_sell": "0.0002"}),
    (["FUT"], ["NRML", "MIS"], FROM_2026, None, {**FUTURE, **INTRADAY, "stt_sell": "0.0005"}),
    (["CE", "PE"], ["NRML", "MIS"], FROM_2024, date(2026, 3, 31), {**OPTION, **FLAT, "stt_sell": "0.001"}),
    (["CE", "PE"], ["NRML", "MIS"], FROM_2026, None, {**OPTION, **FLAT, "stt_sell": "0.0015"}),
]
# Each line: types, products, sides, basis, rate.
MARGINS = [
    (["EQ"], ["CNC"], ["BUY", "SELL"], "PRICE", "1"),
    (["EQ"], ["MTF"], ["BUY", "SELL"], "PRICE", "0.5"),
    (["EQ"], ["MIS"], ["BUY", "SELL"], "PRICE", "0.2"),
    (["FUT"], ["NRML", "MIS"], ["BUY", "SELL"], "PRICE", "0.15"),
    (["CE", "PE"], ["NRML", "MIS"], ["BUY"], "PRICE", "1"),
    (["CE", "PE"], ["NRML", "MIS"], ["SELL"], "STRIKE", "0.15"),
]


def load(apps, schema_editor):
    ChargeRate = apps.get_model("ledger", "ChargeRate")
    MarginRate = apps.get_model("ledger", "MarginRate")
    ChargeRate.objects.bulk_create(
        ChargeRate(
            instrument_type=type_, product=product, valid_from=valid_from, valid_to=valid_to, source=SOURCE,
            **{name: Decimal(rate) for name, rate in rates.items()},
        )
        for types, products, valid_from, valid_to, rates in CHARGES
        for type_ in types
        for product in products
    )  # fmt: skip
    MarginRate.objects.bulk_create(
        MarginRate(
            instrument_type=type_, product=product, side=side, basis=basis, rate=Decimal(rate),
            valid_from=FROM_2024, source=SOURCE,
        )
        for types, products, sides, basis, rate in MARGINS
        for type_ in types
        for product in products
        for side in sides
    )  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("ledger", "0002_bucket_proof")]
    operations = [migrations.RunPython(load, migrations.RunPython.noop)]
