"""Writes `instruments.csv`, the paper exchange's list in the columns of Kite's instrument dump.

Belongs here: the names, lots and start prices of what can be traded, and the rule that turns them
into rows. Nothing at run time imports this module; run it when the derivative contracts have aged:

    python -m orders.brokers.paper.instrument_list --from 2026-11-21 > instruments.csv

Start prices and lots are plausible round figures for practice, not quotations.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

COLUMNS = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
)
SEGMENT_BYTE = {"NSE": 1, "NFO-FUT": 2, "NFO-OPT": 2, "INDICES": 9}
HOLIDAYS = {date(2027, 1, 26)}
VOLATILITY = 0.16

# (exchange token, symbol, name, start price)
INDICES = [
    (1001, "NIFTY 50", "NIFTY 50", "26050.00"),
    (1016, "NIFTY BANK", "NIFTY BANK", "58900.00"),
    (1007, "NIFTY FIN SERVICE", "NIFTY FIN SERVICE", "27450.00"),
    (1035, "INDIA VIX", "INDIA VIX", "13.40"),
]
FUNDS = [
    (10576, "NIFTYBEES", "NIPPON INDIA ETF NIFTY 50 BEES", "292.40"),
    (11439, "BANKBEES", "NIPPON INDIA ETF NIFTY BANK BEES", "604.15"),
    (14428, "GOLDBEES", "NIPPON INDIA ETF GOLD BEES", "101.32"),
    (10939, "JUNIORBEES", "NIPPON INDIA ETF NIFTY NEXT 50 BEES", "742.60"),
    (8080, "SILVERBEES", "NIPPON INDIA SILVER ETF", "148.25"),
    (2636, "ITBEES", "NIPPON INDIA ETF NIFTY IT", "38.44"),
]
EQUITIES = """
25 ADANIENT ADANI ENTERPRISES|2412.50
15083 ADANIPORTS ADANI PORT & SEZ|1486.20
157 APOLLOHOSP APOLLO HOSPITALS|7421.00
236 ASIANPAINT ASIAN PAINTS|2874.60
5900 AXISBANK AXIS BANK|1276.40
16669 BAJAJ-AUTO BAJAJ AUTO|9012.00
317 BAJFINANCE BAJAJ FINANCE|1018.30
16675 BAJAJFINSV BAJAJ FINSERV|2064.10
383 BEL BHARAT ELECTRONICS|418.35
10604 BHARTIARTL BHARTI AIRTEL|2148.90
694 CIPLA CIPLA|1528.40
20374 COALINDIA COAL INDIA|381.15
881 DRREDDY DR. REDDYS LABORATORIES|1247.60
910 EICHERMOT EICHER MOTORS|7058.50
5097 ETERNAL ETERNAL|306.25
1232 GRASIM GRASIM INDUSTRIES|2768.80
7229 HCLTECH HCL TECHNOLOGIES|1604.30
1333 HDFCBANK HDFC BANK|1002.40
467 HDFCLIFE HDFC LIFE INSURANCE|764.35
1363 HINDALCO HINDALCO INDUSTRIES|806.55
1394 HINDUNILVR HINDUSTAN UNILEVER|2436.70
4963 ICICIBANK ICICI BANK|1372.80
11195 INDIGO INTERGLOBE AVIATION|5842.50
1594 INFY INFOSYS|1545.20
1660 ITC ITC|404.85
18143 JIOFIN JIO FINANCIAL SERVICES|304.15
11723 JSWSTEEL JSW STEEL|1166.90
1922 KOTAKBANK KOTAK MAHINDRA BANK|2098.60
11483 LT LARSEN & TOUBRO|4012.40
2031 M&M MAHINDRA & MAHINDRA|3704.10
10999 MARUTI MARUTI SUZUKI|15962.00
22377 MAXHEALTH MAX HEALTHCARE|1124.70
17963 NESTLEIND NESTLE INDIA|1268.90
11630 NTPC NTPC|327.40
2475 ONGC OIL & NATURAL GAS|247.65
14977 POWERGRID POWER GRID|277.30
2885 RELIANCE RELIANCE INDUSTRIES|1536.40
21808 SBILIFE SBI LIFE INSURANCE|2012.30
3045 SBIN STATE BANK OF INDIA|972.85
4306 SHRIRAMFIN SHRIRAM FINANCE|834.20
3351 SUNPHARMA SUN PHARMACEUTICAL|1774.50
3432 TATACONSUM TATA CONSUMER PRODUCTS|1174.20
3456 TMPV TATA MOTORS PASSENGER VEHICLES|361.75
3499 TATASTEEL TATA STEEL|171.95
11536 TCS TATA CONSULTANCY SERVICES|3148.60
13538 TECHM TECH MAHINDRA|1456.80
3506 TITAN TITAN COMPANY|3896.40
1964 TRENT TRENT|4284.50
11532 ULTRACEMCO ULTRATECH CEMENT|11748.00
3787 WIPRO WIPRO|245.80
22 ACC ACC|1842.60
1270 AMBUJACEM AMBUJA CEMENTS|556.25
4668 BANKBARODA BANK OF BARODA|289.65
11373 BIOCON BIOCON|412.90
526 BPCL BHARAT PETROLEUM|364.45
10794 CANBK CANARA BANK|149.35
772 DABUR DABUR INDIA|518.65
19913 DMART AVENUE SUPERMARTS|3982.10
14732 DLF DLF|742.85
1023 FEDERALBNK FEDERAL BANK|246.70
4717 GAIL GAIL|182.35
10099 GODREJCP GODREJ CONSUMER PRODUCTS|1146.30
2303 HAL HINDUSTAN AERONAUTICS|4692.80
9819 HAVELLS HAVELLS INDIA|1442.60
1348 HEROMOTOCO HERO MOTOCORP|5912.50
14366 IDEA VODAFONE IDEA|10.85
11184 IDFCFIRSTB IDFC FIRST BANK|80.45
5258 INDUSINDBK INDUSIND BANK|846.55
1624 IOC INDIAN OIL CORP|169.75
13611 IRCTC INDIAN RAIL TOUR CORP|702.40
9480 LICI LIFE INSURANCE CORP OF INDIA|902.35
10440 LUPIN LUPIN|2036.20
2277 MRF MRF|152480.00
13751 NAUKRI INFO EDGE|1362.40
15332 NMDC NMDC|75.60
14413 PAGEIND PAGE INDUSTRIES|39240.00
6705 PAYTM ONE 97 COMMUNICATIONS|1288.70
14299 PFC POWER FINANCE CORP|374.65
2664 PIDILITIND PIDILITE INDUSTRIES|1492.30
10666 PNB PUNJAB NATIONAL BANK|123.85
15355 RECLTD REC|358.95
2963 SAIL STEEL AUTHORITY OF INDIA|138.25
3150 SIEMENS SIEMENS|3168.40
3426 TATAPOWER TATA POWER|391.20
8479 TVSMOTOR TVS MOTOR|3462.10
18921 VBL VARUN BEVERAGES|462.75
3063 VEDL VEDANTA|518.30
11915 YESBANK YES BANK|22.95
"""
# underlying: (spot symbol, lot, strike step, strikes on each side of the money)
CONTRACTS = {
    "NIFTY": ("NIFTY 50", 65, 100, 6),
    "BANKNIFTY": ("NIFTY BANK", 30, 200, 5),
    "SBIN": ("SBIN", 750, 20, 2),
    "RELIANCE": ("RELIANCE", 500, 20, 2),
    "INFY": ("INFY", 400, 20, 2),
    "TCS": ("TCS", 175, 0, 0),
    "HDFCBANK": ("HDFCBANK", 550, 0, 0),
    "ICICIBANK": ("ICICIBANK", 700, 0, 0),
    "ITC": ("ITC", 1600, 0, 0),
    "TATASTEEL": ("TATASTEEL", 5500, 0, 0),
    "AXISBANK": ("AXISBANK", 625, 0, 0),
    "LT": ("LT", 175, 0, 0),
}
Row = tuple[object, ...]


def monthly_expiries(start: date, count: int) -> list[date]:
    """The next `count` monthly expiries: the month's last Tuesday, or the trading day before."""
    expiries: list[date] = []
    year, month = start.year, start.month
    while len(expiries) < count:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        day = date(year, month, 1) - timedelta(days=1)
        while day.weekday() != 1:
            day -= timedelta(days=1)
        while day in HOLIDAYS or day.weekday() > 4:
            day -= timedelta(days=1)
        if day >= start:
            expiries.append(day)
    return expiries


def option_price(spot: float, strike: float, years: float, kind: str) -> float:
    """Black-Scholes without interest: `spot` and `strike` in rupees, `kind` CE or PE."""
    spread = VOLATILITY * math.sqrt(years)
    d1 = math.log(spot / strike) / spread + spread / 2
    call = spot * _normal(d1) - strike * _normal(d1 - spread)
    return call if kind == "CE" else call - spot + strike


def _normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2


def _on_tick(price: float, tick: str) -> Decimal:
    step = Decimal(tick)
    return max(step, (Decimal(str(price)) / step).to_integral_value() * step)


def _row(
    token: int,
    symbol: str,
    name: str,
    price: object,
    tick: str,
    lot: int,
    segment: str,
    kind: str = "EQ",
    expiry: object = "",
    strike: int = 0,
) -> Row:
    exchange = "NFO" if segment.startswith("NFO") else "NSE"
    instrument_token = token * 256 + SEGMENT_BYTE[segment]
    return (instrument_token, token, symbol, name, price, expiry, strike, tick, lot, kind, segment, exchange)


def spot_rows() -> Iterator[Row]:
    """Indices, exchange-traded funds and equities."""
    for token, symbol, name, price in INDICES:
        yield _row(token, symbol, name, price, "0", 0, "INDICES")
    for token, symbol, name, price in FUNDS:
        yield _row(token, symbol, name, price, "0.01", 1, "NSE")
    for line in EQUITIES.strip().splitlines():
        text, price = line.split("|")
        number, symbol, name = text.split(" ", 2)
        tick = "0.10" if Decimal(price) >= 1000 else "0.05"
        yield _row(int(number), symbol, name, price, tick, 1, "NSE")


def contract_rows(start: date, spots: dict[str, Decimal]) -> Iterator[Row]:
    """Futures of three months, and options of two around the money."""
    token = 40000
    for name, (spot_symbol, lot, step, width) in CONTRACTS.items():
        spot = float(spots[spot_symbol])
        tick = "0.10" if name in ("NIFTY", "BANKNIFTY") or spot >= 1000 else "0.05"
        for month, expiry in enumerate(monthly_expiries(start, 3)):
            code = f"{name}{expiry:%y%b}".upper()
            years = ((expiry - start).days + 1) / 365
            token += 1
            future = _on_tick(spot * (1 + 0.065 * years), tick)
            yield _row(token, f"{code}FUT", name, future, tick, lot, "NFO-FUT", "FUT", expiry)
            if not step or month == 2:
                continue
            centre = round(spot / step) * step
            for strike in range(centre - width * step, centre + width * step + 1, step):
                for kind in ("CE", "PE"):
                    token += 1
                    price = _on_tick(option_price(spot, strike, years, kind), "0.05")
                    yield _row(
                        token, f"{code}{strike}{kind}", name, price, "0.05", lot, "NFO-OPT", kind, expiry, strike
                    )


def main() -> None:
    """Print the list as CSV for contracts alive on the day given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="start", type=date.fromisoformat, required=True)
    start = parser.parse_args().start
    rows = list(spot_rows())
    rows += contract_rows(start, {str(row[2]): Decimal(str(row[4])) for row in rows})
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)


if __name__ == "__main__":
    main()
