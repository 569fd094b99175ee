"""Orders as a Django app. Loaded at start: the tasks, since whoever places an order must know whom to hint at, and
the kinds of brokers, since services read their rules.
"""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "orders"

    def ready(self) -> None:
        from orders import tasks  # noqa: F401  registers what listens to hints
        from orders.brokers import registry  # noqa: F401  registers the kinds of brokers
