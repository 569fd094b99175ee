"""The HTTP routes of the exchange: Kite's at the root, the operator's under /control."""
