"""The cast of the API's tests."""

from oms.tests.api_cast import body, cast, client_for, operator, placed, trader
from oms.tests.committed import committed_db

__all__ = ["body", "cast", "client_for", "committed_db", "operator", "placed", "trader"]
