"""Killing the OMS under load, again and again, and counting what it got wrong: `make chaos`.

Starts a whole OMS of its own, trades on it while the exchange misbehaves, kills one process after the other
with SIGKILL, then compares every order, rupee and event with the exchange's truth. Nothing of the product is here.
"""
