"""The cast of the API's tests."""

from oms.tests.api_cast import body, cast, client_for, operator, placed, trader

__all__ = ["body", "cast", "client_for", "operator", "placed", "trader"]
