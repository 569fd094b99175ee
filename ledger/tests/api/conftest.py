"""The cast of the API's tests."""

from oms.tests.api_cast import as_operator, as_trader, cast, client_for, placed

__all__ = ["as_operator", "as_trader", "cast", "client_for", "placed"]
