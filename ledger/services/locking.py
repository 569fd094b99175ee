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
    portfolios, instruments, products = [k[0] for k in keys], [k[1] for k in keys], [k[2] for k in keys]
    return model_read(Position, clauses, {"portfolios": portfolios, "instruments": instruments, "products": products})


def create_missing_positions(keys: list[PositionKey], at: datetime) -> None:
    accounts = dict(CapitalAccount.objects.filter(pk__in={k[0] for k in keys}).values_list("pk", "account_id"))
    Position.objects.bulk_create(
        [
            Position(
                capital_account_id=portfolio, account_id=accounts[portfolio], instrument_id=instrument,
                product=product, updated_at=at,
            )
            for portfolio, instrument, product in keys
        ],
        ignore_conflicts=True,
    )  # fmt: skip
