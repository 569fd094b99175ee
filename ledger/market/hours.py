"""The regular hours of each exchange, in the time of day of India. Days that are not regular: `special_days`."""

from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True, slots=True)
class Hours:
    """One session. `pre_open` equals `opens` where orders are not collected before the open."""

    pre_open: time
    opens: time
    closes: time


EQUITY = Hours(time(9), time(9, 15), time(15, 30))
DERIVATIVES = Hours(time(9, 15), time(9, 15), time(15, 30))
CURRENCY = Hours(time(9), time(9), time(17))
COMMODITY = Hours(time(9), time(9), time(23, 30))
#: The two halves of a commodity exchange's day: a holiday may take either.
COMMODITY_MORNING = Hours(time(9), time(9), time(17))
COMMODITY_EVENING = Hours(time(17), time(17), time(23, 30))

#: The exchanges that are known at all, with their hours.
HOURS: dict[str, Hours] = {
    "NSE": EQUITY, "BSE": EQUITY, "NFO": DERIVATIVES, "BFO": DERIVATIVES,
    "CDS": CURRENCY, "BCD": CURRENCY, "MCX": COMMODITY,
}  # fmt: skip
