"""The paper exchange: a Kite Connect v3 compatible simulated broker in a process of its own.

Nothing here imports Django or the OMS, and the OMS imports nothing from here: they meet over HTTP.
Run it with `python -m orders.brokers.paper --home DIR`.
"""
