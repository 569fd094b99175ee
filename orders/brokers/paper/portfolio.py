"""Positions, holdings and funds as Kite shows them.

Belongs here: rows and their identities (value = sell - buy, pnl = value + quantity x last, and so
on). The figures themselves are changed in `account`.
"""

from typing import Any

from .account import Account, Holding, Position
from .clock import Clock
from .instruments import Catalogue
from .market import Market
from .money import average, to_rupees


def position_row(position: Position, catalogue: Catalogue, market: Market, day_only: bool) -> dict[str, Any]:
    """One row; with `day_only` the overnight units are left out."""
    instrument = catalogue.by_key[position.key]
    quote = market.quotes[instrument.instrument_token]
    overnight = 0 if day_only else position.overnight_quantity
    carried = 0 if day_only else position.overnight_value
    bought = position.day_buy_quantity + max(0, overnight)
    sold = position.day_sell_quantity + max(0, -overnight)
    buy_value = position.day_buy_value + (carried if overnight > 0 else 0)
    sell_value = position.day_sell_value + (carried if overnight < 0 else 0)
    net = bought - sold
    buy_price, sell_price = average(buy_value, bought), average(sell_value, sold)
    value = sell_value - buy_value
    pnl = to_rupees(value + net * quote.last)
    buy_m2m = overnight * quote.close + position.day_buy_value
    m2m = position.day_sell_value - buy_m2m + net * quote.last
    return {
        "tradingsymbol": instrument.tradingsymbol,
        "exchange": instrument.exchange,
        "instrument_token": instrument.instrument_token,
        "product": position.product,
        "quantity": net,
        "overnight_quantity": overnight,
        "multiplier": 1,
        "average_price": (buy_price if net > 0 else sell_price) if net else 0,
        "close_price": to_rupees(quote.close) if overnight else 0,
        "last_price": to_rupees(quote.last),
        "value": to_rupees(value),
        "pnl": pnl,
        "m2m": to_rupees(m2m),
        "unrealised": pnl,
        "realised": 0,
        "buy_quantity": bought,
        "buy_price": buy_price,
        "buy_value": to_rupees(buy_value),
        "buy_m2m": to_rupees(buy_m2m),
        "sell_quantity": sold,
        "sell_price": sell_price,
        "sell_value": to_rupees(sell_value),
        "sell_m2m": to_rupees(position.day_sell_value),
        "day_buy_quantity": position.day_buy_quantity,
        "day_buy_price": average(position.day_buy_value, position.day_buy_quantity),
        "day_buy_value": to_rupees(position.day_buy_value),
        "day_sell_quantity": position.day_sell_quantity,
        "day_sell_price": average(position.day_sell_value, position.day_sell_quantity),
        "day_sell_value": to_rupees(position.day_sell_value),
    }


def positions(account: Account, catalogue: Catalogue, market: Market) -> dict[str, Any]:
    """`net`: all positions. `day`: what was traded today, alone."""
    traded = [p for p in account.positions.values() if p.day_buy_quantity or p.day_sell_quantity]
    return {
        "net": [position_row(p, catalogue, market, False) for p in account.positions.values()],
        "day": [position_row(p, catalogue, market, True) for p in traded],
    }


def holding_row(
    account: Account, holding: Holding, catalogue: Catalogue, market: Market, clock: Clock
) -> dict[str, Any]:
    """One row. Units sold today stay in `quantity` and are counted in `used_quantity`."""
    instrument = catalogue.by_key[holding.key]
    quote = market.quotes[instrument.instrument_token]
    units = holding.quantity + holding.t1_quantity
    day_change = quote.last - quote.close
    return {
        "tradingsymbol": instrument.tradingsymbol,
        "exchange": instrument.exchange,
        "instrument_token": instrument.instrument_token,
        "isin": instrument.isin,
        "product": "CNC",
        "price": 0,
        "quantity": holding.quantity,
        "used_quantity": min(units, max(0, -account.net(holding.key, "CNC"))),
        "t1_quantity": holding.t1_quantity,
        "realised_quantity": holding.quantity,
        "authorised_quantity": holding.authorised_quantity,
        "authorised_date": f"{clock.today()} 00:00:00",
        "authorisation": {},
        "opening_quantity": units,
        "short_quantity": 0,
        "collateral_quantity": 0,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": average(holding.cost, units),
        "last_price": to_rupees(quote.last),
        "close_price": to_rupees(quote.close),
        "pnl": to_rupees(units * quote.last - holding.cost),
        "day_change": to_rupees(day_change),
        "day_change_percentage": day_change * 100 / quote.close,
        "mtf": {"quantity": 0, "used_quantity": 0, "average_price": 0, "value": 0, "initial_margin": 0},
    }


def funds(account: Account) -> dict[str, Any]:
    """The equity segment; net = live_balance = cash - debits."""
    margins = account.margins.values()
    return _segment(
        net=to_rupees(account.available),
        cash=to_rupees(account.cash),
        opening=to_rupees(account.opening_cash),
        debits=to_rupees(account.debits),
        span=to_rupees(sum(margin.span for margin in margins)),
        exposure=to_rupees(sum(margin.exposure for margin in margins)),
    )


def commodity_funds() -> dict[str, Any]:
    """The commodity segment, which the paper exchange does not trade."""
    return _segment(net=0, cash=0, opening=0, debits=0, span=0, exposure=0)


def _segment(*, net: float, cash: float, opening: float, debits: float, span: float, exposure: float) -> dict[str, Any]:
    return {
        "enabled": True,
        "net": net,
        "available": {
            "adhoc_margin": 0,
            "cash": cash,
            "opening_balance": opening,
            "live_balance": net,
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {
            "debits": debits,
            "exposure": exposure,
            "m2m_realised": 0,
            "m2m_unrealised": 0,
            "option_premium": 0,
            "payout": 0,
            "span": span,
            "holding_sales": 0,
            "turnover": 0,
            "liquid_collateral": 0,
            "stock_collateral": 0,
            "delivery": 0,
        },
    }
