"""The official Kite client without its ticker, whose import costs Twisted and its warnings.

Belongs here: the import trick of the conformance tests. The real ticker is tried in a process of
its own (`test_ticker`).
"""

import sys
from types import ModuleType

if "kiteconnect" not in sys.modules:
    stub = ModuleType("kiteconnect.ticker")
    stub.KiteTicker = object  # type: ignore[attr-defined]
    sys.modules["kiteconnect.ticker"] = stub

from kiteconnect import KiteConnect, exceptions

__all__ = ["KiteConnect", "exceptions"]
