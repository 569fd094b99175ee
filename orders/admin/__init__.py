"""Admin pages of orders, executions and brokers. Loaded by Django's autodiscovery."""

from orders.admin import brokers, executions, orders

__all__ = ["brokers", "executions", "orders"]
