"""The rows behind the books: locked in the one order that keeps two transactions from waiting for each other."""

from collections.abc import Iterable
from datetime import datetime

from ledger.models import CapitalAccount, Position
from ledger.services.reservations import PositionKey
from oms.lib.db import Read, distinct, model_read


def books_locked(
    portfolio_ids: Iterable[int], position_keys: Iterable[PositionKey]
) -> tuple[Read[list[Position]], Read[list[CapitalAccount]]]:
    """The reads that lock positions and, after them, capital accounts; in one round trip they run in turn."""
    clauses = "WHERE t.id = ANY(%(ids)s) ORDER BY t.id FOR NO KEY UPDATE"
    return (
        _positions_locked(sorted(set(position_keys))),
        model_read(CapitalAccount, clauses, {"ids": distinct(portfolio_ids)}),
    )


#: An account, the code of one of its portfolios (empty: the first made), an instrument's id (0: none) and a product.
Named = tuple[int, str, int, str]
_PORTFOLIO = """SELECT p.id FROM ledger_capitalaccount AS p
    WHERE p.account_id = k.account AND (k.code = '' OR p.code = k.code) ORDER BY p.id LIMIT 1"""


def books_named(named: Iterable[Named]) -> tuple[Read[list[Position]], Read[list[CapitalAccount]]]:
    """The same as `books_locked`, for books known by name; what does not exist is left out."""
    keys = sorted(set(named))
    parameters = {
        "accounts": [key[0] for key in keys], "codes": [key[1] for key in keys],
        "instruments": [key[2] for key in keys], "products": [key[3] for key in keys],
    }  # fmt: skip
    positions = f"""JOIN (
            SELECT DISTINCT p.id AS portfolio, k.instrument, k.product
            FROM unnest(%(accounts)s::bigint[], %(codes)s::text[], %(instruments)s::bigint[], %(products)s::text[])
                AS k(account, code, instrument, product)
            CROSS JOIN LATERAL ({_PORTFOLIO}) AS p) AS k
        ON t.capital_account_id = k.portfolio AND t.instrument_id = k.instrument AND t.product = k.product
        ORDER BY t.id FOR NO KEY UPDATE OF t"""  # noqa: S608  no value is in it
    portfolios = f"""WHERE t.id = ANY(ARRAY(
            SELECT p.id FROM unnest(%(accounts)s::bigint[], %(codes)s::text[]) AS k(account, code)
            CROSS JOIN LATERAL ({_PORTFOLIO}) AS p))
        ORDER BY t.id FOR NO KEY UPDATE"""  # noqa: S608
    paying = {"accounts": parameters["accounts"], "codes": parameters["codes"]}
    return model_read(Position, positions, parameters), model_read(CapitalAccount, portfolios, paying)


def _positions_locked(keys: list[PositionKey]) -> Read[list[Position]]:
    clauses = """JOIN unnest(%(portfolios)s::bigint[], %(instruments)s::bigint[], %(products)s::text[])
        AS k(portfolio, instrument, product)
        ON t.capital_account_id = k.portfolio AND t.instrument_id = k.instrument AND t.product = k.product
        ORDER BY t.id FOR NO KEY UPDATE OF t"""
    return model_read(Position, clauses, _columns_of(keys))


def missing_positions_made(position_keys: Iterable[PositionKey], at: datetime) -> Read[None]:
    """Makes the positions that do not exist yet, empty; goes before `books_locked` in the same round trip."""
    return Read(
        """INSERT INTO ledger_position (
               capital_account_id, account_id, instrument_id, product, quantity, reserved_units, average_price,
               allocated, realised_pnl, day_buy_quantity, day_buy_value, day_sell_quantity, day_sell_value,
               transaction_seq, updated_at)
           SELECT c.id, c.account_id, k.instrument, k.product, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, %(at)s::timestamptz
           FROM unnest(%(portfolios)s::bigint[], %(instruments)s::bigint[], %(products)s::text[])
                WITH ORDINALITY AS k(portfolio, instrument, product, n)
           JOIN ledger_capitalaccount AS c ON c.id = k.portfolio
           WHERE NOT EXISTS (
               SELECT FROM ledger_position AS p WHERE p.capital_account_id = k.portfolio
               AND p.instrument_id = k.instrument AND p.product = k.product)
           ORDER BY k.n ON CONFLICT DO NOTHING RETURNING id""",
        {**_columns_of(sorted(set(position_keys))), "at": at},
        lambda _: None,
    )


def _columns_of(keys: list[PositionKey]) -> dict[str, list[int] | list[str]]:
    return {
        "portfolios": [key[0] for key in keys],
        "instruments": [key[1] for key in keys],
        "products": [key[2] for key in keys],
    }
