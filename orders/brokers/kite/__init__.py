"""The adapter for Kite Connect v3 and everything that speaks it: Zerodha, its sandbox, the paper exchange.

`failures` reads refusals, `wire` rows and forms, `market` quotes and the instrument dump, `connection`
carries one bounded HTTP call, `client` is the `Broker`. Nothing here knows the database.
"""
